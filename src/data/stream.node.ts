import { performance } from "node:perf_hooks";
import { KandinskyError } from "../base/mod.ts";
import type { Picture } from "../image/mod.ts";
import { drawsOf, foldIn, type Key } from "../random/mod.ts";
import { type Bucket, type Fit, fitBucket } from "./buckets.ts";
import { type Dataset, type KnownSample, openPicturePool } from "./dataset.node.ts";
import { type Cursor, type PlannedBatch, planEpoch, type Rank, rowsOf } from "./plan.ts";
import { prefetch, type Waiting } from "./prefetch.ts";
import { pickText, type TextChoice, type TextWeights } from "./texts.ts";

/** What one step is trained on: this rank's rows of a batch. */
export interface Batch {
  readonly bucket: Bucket;
  readonly pictures: readonly Picture[];
  /** One for each picture; undefined is to be trained without words. */
  readonly texts: readonly (TextChoice | undefined)[];
  readonly keys: readonly string[];
  /** Where to go on after this batch: store it with the weights. */
  readonly cursor: Cursor;
}

export interface StreamOptions {
  readonly dataset: Dataset;
  readonly buckets: readonly Bucket[];
  /** Samples of all ranks together. */
  readonly batch: number;
  readonly key: Key;
  readonly rank: Rank;
  readonly cursor: Cursor;
  readonly weights: TextWeights;
  /** Samples that the order is mixed over. */
  readonly buffer: number;
  /** Whether pictures smaller than every bucket of their shape are enlarged; else they are left out. */
  readonly enlarge: boolean;
  /** Whether half of the pictures are mirrored; not for pictures whose captions tell left from right. */
  readonly flip: boolean;
  readonly workers: number;
  /** Batches that are made ahead. */
  readonly depth: number;
}

/** Batches without end. */
export interface BatchStream {
  next(): Promise<Batch>;
  waiting(): Waiting;
  /** Samples that no bucket takes without enlarging them. */
  readonly tooSmall: number;
  /** Batches of the epoch that the cursor is in. */
  epochLength(epoch: number): number;
  close(): Promise<void>;
}

/**
 * Streams batches from a cursor on. Order, cuts, mirroring and choice of captions come from the key, the epoch and the
 * sample alone: a stream that goes on at a stored cursor gives bit for bit what it would have given, on any number
 * of ranks and workers. Throws `option_invalid` where the batch cannot be shared among the ranks and
 * `input_missing` where every picture is too small.
 */
export async function openStream(options: StreamOptions): Promise<BatchStream> {
  const { dataset, buckets, batch, key, rank, cursor, workers, depth } = options;
  rowsOf(Array.from({ length: batch }), rank);
  const fits = dataset.samples.map((sample) => fitBucket(sample, buckets, options.enlarge));
  const tooSmall = fits.filter((fit) => fit === undefined).length;
  const plan = epochPlans(options, fits);
  checkCursor(cursor, plan(cursor.epoch).length);
  const pool = await openPicturePool(workers);
  const nextPosition = walk(cursor, plan);

  const make = async (): Promise<Batch> => {
    // Before anything is awaited, so that positions go out in the order of the batches.
    const { at, planned, after } = nextPosition();
    const rows = rowsOf(planned.samples, rank);
    const bucket = buckets[planned.bucket]!;
    const firstRow = rank.rank * rows.length;
    const made = await Promise.all(
      rows.map(async (sample, i) => {
        const known = dataset.samples[sample]!;
        // By its place and not by the sample: one that fills up a batch is cut another way.
        const draws = drawsOf(rowKey(key, at, firstRow + i));
        const job = {
          kind: "load",
          picture: known.picture,
          key: known.key,
          scaledWidth: fits[sample]!.scaledWidth,
          scaledHeight: fits[sample]!.scaledHeight,
          ...bucket,
          across: draws.uniform(0, 1),
          down: draws.uniform(0, 1),
          flip: options.flip && draws.chance(0.5),
        } as const;
        const text = pickText(draws, known.texts, options.weights);
        return { known, text, picture: (await pool.run(job)) as Picture };
      }),
    );
    return {
      bucket,
      pictures: made.map(({ picture }) => picture),
      texts: made.map(({ text }) => text),
      keys: made.map(({ known }) => known.key),
      cursor: after,
    };
  };
  const ahead = prefetch(make, { first: 0, depth, now: () => performance.now() });
  return {
    next: ahead.next,
    waiting: ahead.waiting,
    tooSmall,
    epochLength: (epoch) => plan(epoch).length,
    async close() {
      ahead.stop();
      await pool.close();
    },
  };
}

/** Batches of epochs; the last two asked for are kept, since reading ahead crosses from one to the next. */
function epochPlans(
  { dataset, batch, key, buffer }: StreamOptions,
  fits: readonly (Fit | undefined)[],
): (epoch: number) => readonly PlannedBatch[] {
  const buckets = Int32Array.from(fits, (fit) => fit?.bucket ?? -1);
  const files = fileNumbers(dataset.samples);
  const kept = new Map<number, readonly PlannedBatch[]>();
  return (epoch) => {
    const found = kept.get(epoch) ?? planEpoch(foldIn(key, ORDER), epoch, { buckets, files, batch, buffer });
    kept.delete(epoch);
    kept.set(epoch, found);
    if (kept.size > 2) kept.delete(kept.keys().next().value!);
    return found;
  };
}

/** A number for each shard; of a plain folder, whose files lie anywhere, all samples share one. */
function fileNumbers(samples: readonly KnownSample[]): Int32Array {
  const numbers = new Map<string, number>();
  return Int32Array.from(samples, ({ picture }) => {
    const name = picture.offset === 0 ? "" : picture.file;
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  });
}

/** Uses of a stream's key. */
const ORDER = 0;
const ROWS = 1;

function rowKey(key: Key, { epoch, batch }: Cursor, row: number): Key {
  return foldIn(foldIn(foldIn(foldIn(key, ROWS), epoch), batch), row);
}

interface Position {
  readonly at: Cursor;
  readonly planned: PlannedBatch;
  readonly after: Cursor;
}

/** Positions from a cursor on, one a call. */
function walk(start: Cursor, plan: (epoch: number) => readonly PlannedBatch[]): () => Position {
  let at = start;
  return () => {
    const batches = plan(at.epoch);
    const here = at;
    const isLast = here.batch + 1 === batches.length;
    at = isLast ? { epoch: here.epoch + 1, batch: 0 } : { epoch: here.epoch, batch: here.batch + 1 };
    return { at: here, planned: batches[here.batch]!, after: at };
  };
}

function checkCursor({ epoch, batch }: Cursor, length: number): void {
  if (Number.isInteger(epoch) && Number.isInteger(batch) && epoch >= 0 && batch >= 0 && batch < length)
    return;
  throw new KandinskyError("option_invalid", {
    what: "the place in the data does not exist",
    where: "cursor",
    seen: `batch ${batch} of epoch ${epoch}`,
    wanted: `0 to ${length - 1}`,
    hint: "the data or the batch has changed since the checkpoint; begin an epoch anew",
  });
}
