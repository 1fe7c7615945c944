import { KandinskyError } from "../base/mod.ts";
import { drawsOf, foldIn, type Key } from "../random/mod.ts";

/** Where training is: the next batch to give is number `batch` of epoch `epoch`. Plain data, the same on all ranks. */
export interface Cursor {
  readonly epoch: number;
  readonly batch: number;
}

/** One process among those that train together. */
export interface Rank {
  readonly rank: number;
  readonly world: number;
}

/** Which samples make up a batch of all ranks together; all in one bucket. */
export interface PlannedBatch {
  readonly bucket: number;
  /** Indices of samples, in the order of the batch. */
  readonly samples: readonly number[];
}

/** What the plan of an epoch needs to know. */
export interface PlanOptions {
  /** Bucket of every sample; -1 leaves it out. Samples of one file lie together. */
  readonly buckets: Int32Array;
  /** Number of the file that each sample is read from: files are shuffled whole, so that reading stays local. */
  readonly files: Int32Array;
  /** Samples of a batch of all ranks together. */
  readonly batch: number;
  /** How many samples the order is mixed over; 1,000 and more mixes shards well. */
  readonly buffer: number;
}

/**
 * The batches of an epoch: files in random order, their samples through a buffer from which a random one leaves
 * whenever one enters, sorted into buckets; a bucket that is full is a batch. What remains in a bucket at the end is
 * filled up with that bucket's first samples, so that every sample is seen in every epoch, and these last batches
 * come in random order. A pure function of key and epoch: nothing has to be kept to go on in the middle but the
 * cursor. Throws `input_missing` where no sample has a bucket.
 */
export function planEpoch(key: Key, epoch: number, options: PlanOptions): PlannedBatch[] {
  const { buckets, batch } = options;
  const draws = drawsOf(foldIn(key, epoch));
  const seen = new Map<number, number[]>();
  const planned: PlannedBatch[] = [];
  for (const sample of shuffled(draws, options)) {
    const bucket = buckets[sample]!;
    const members = seen.get(bucket) ?? [];
    seen.set(bucket, members);
    members.push(sample);
    if (members.length % batch === 0) planned.push({ bucket, samples: members.slice(-batch) });
  }
  if (seen.size === 0) {
    throw new KandinskyError("input_missing", { what: "no sample of the data fits a bucket" });
  }
  const rests = [...seen].filter(([, members]) => members.length % batch !== 0);
  const last = rests.map(([bucket, members]): PlannedBatch => {
    const rest = members.slice(members.length - (members.length % batch));
    return {
      bucket,
      samples: Array.from({ length: batch }, (_, i) => rest[i] ?? members[i % members.length]!),
    };
  });
  return [...planned, ...mixed(draws, last)];
}

/** The samples that have a bucket, in the order of the epoch. */
function* shuffled(
  draws: ReturnType<typeof drawsOf>,
  { buckets, files, buffer }: PlanOptions,
): Iterable<number> {
  const byFile = new Map<number, number[]>();
  for (let sample = 0; sample < buckets.length; sample++) {
    if (buckets[sample]! < 0) continue;
    const list = byFile.get(files[sample]!);
    if (list === undefined) byFile.set(files[sample]!, [sample]);
    else list.push(sample);
  }
  const waiting: number[] = [];
  const leave = () => {
    const at = draws.whole(0, waiting.length - 1);
    const sample = waiting[at]!;
    waiting[at] = waiting.at(-1)!;
    waiting.pop();
    return sample;
  };
  for (const list of mixed(draws, [...byFile.values()])) {
    for (const sample of list) {
      waiting.push(sample);
      if (waiting.length > buffer) yield leave();
    }
  }
  while (waiting.length > 0) yield leave();
}

function mixed<T>(draws: ReturnType<typeof drawsOf>, items: readonly T[]): T[] {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const j = draws.whole(0, i);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

/**
 * The rows of a batch that are this rank's: equal parts in order, so that all ranks together have the batch of a
 * single process. Throws `option_invalid` where the batch cannot be split evenly.
 */
export function rowsOf<T>(items: readonly T[], { rank, world }: Rank): readonly T[] {
  if (items.length % world !== 0 || rank < 0 || rank >= world) {
    throw new KandinskyError("option_invalid", {
      what: "the batch cannot be shared among the processes",
      where: "batch",
      seen: `${items.length} samples for rank ${rank} of ${world}`,
      wanted: `a multiple of ${world}`,
    });
  }
  const share = items.length / world;
  return items.slice(rank * share, (rank + 1) * share);
}
