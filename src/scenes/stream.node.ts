import { performance } from "node:perf_hooks";
import { type Bucket, openWorkerPool, prefetch, type Rank, rowsOf, type Waiting } from "../data/mod.ts";
import type { Picture } from "../image/mod.ts";
import { drawsOf, foldIn, type Key } from "../random/mod.ts";
import { type Caption, type CaptionOptions, drawCaption } from "./captions.ts";
import { type MastersRequest, openMasters } from "./masters.node.ts";
import type { SceneJob } from "./scene-job.node.ts";
import { drawSpec, type SceneOptions, type SceneSpec } from "./spec.ts";
import type { StyleName } from "./styles.ts";
import type { Subject } from "./subjects.ts";

/** What one step is trained on: this rank's rows of a batch of scenes. */
export interface SceneBatch {
  readonly bucket: Bucket;
  readonly pictures: readonly Picture[];
  readonly captions: readonly Caption[];
  readonly specs: readonly SceneSpec[];
  /** Number of the batch after this one: where to go on. */
  readonly next: number;
}

export interface SceneStreamOptions {
  readonly subjects: readonly Subject[];
  readonly scenes: SceneOptions;
  readonly captions: CaptionOptions;
  /** Folder of icons and masters. */
  readonly folder: string;
  /** Sizes; every batch has one of them, drawn. */
  readonly buckets: readonly Bucket[];
  /** Scenes of all ranks together. */
  readonly batch: number;
  readonly key: Key;
  /** Batches of different scenes; the next ones show the same again, with other captions. Without end by default. */
  readonly pool?: number;
  readonly rank: Rank;
  /** Number of the batch to begin with. */
  readonly first: number;
  /** Threads that draw. One draws over 1,000 pictures of 64 px a second. */
  readonly workers: number;
  /** Batches that are made ahead. */
  readonly depth: number;
  readonly onStage?: NonNullable<MastersRequest["onStage"]>;
}

/** Scenes without end. */
export interface SceneStream {
  next(): Promise<SceneBatch>;
  waiting(): Waiting;
  close(): Promise<void>;
}

/**
 * Draws batches of scenes while they are used. Batch n is a function of the key and n alone: a stream that begins at a
 * stored number goes on bit for bit, on any number of ranks and workers. Throws what `openMasters` throws, and
 * `option_invalid` where the batch cannot be shared among the ranks.
 */
export async function openSceneStream(options: SceneStreamOptions): Promise<SceneStream> {
  const { subjects, scenes, captions, folder, buckets, batch, key, rank, first, workers, depth } = options;
  const { pool = Number.POSITIVE_INFINITY } = options;
  const rows = rowsOf(
    Array.from({ length: batch }, (_, i) => i),
    rank,
  );
  const request = {
    folder,
    codes: subjects.map(({ code }) => code),
    styles: (Object.keys(scenes.styles) as StyleName[]).filter((style) => scenes.styles[style]! > 0),
  };
  // Here, so that only one thread installs and draws icons; the others find the files.
  await openMasters({ ...request, ...(options.onStage === undefined ? {} : { onStage: options.onStage }) });
  const artists = await openWorkerPool<typeof request, SceneJob, readonly Picture[]>(
    new URL("./scene-job.node.js", import.meta.url),
    request,
    workers,
  );
  const byCode = new Map(subjects.map((subject) => [subject.code, subject]));
  const keysOf = (number: number) => rows.map((row) => foldIn(foldIn(foldIn(key, number), ROWS), row));
  const make = async (number: number): Promise<SceneBatch> => {
    const shown = number % pool;
    const bucket = drawsOf(foldIn(foldIn(key, shown), BUCKET)).pick(buckets);
    const specs = keysOf(shown).map((one) => drawSpec(foldIn(one, SPEC), subjects, scenes));
    const pictures = await artists.run({ specs, ...bucket });
    return {
      bucket,
      pictures,
      specs,
      captions: keysOf(number).map((one, i) =>
        drawCaption(foldIn(one, CAPTION), specs[i]!, byCode, captions),
      ),
      next: number + 1,
    };
  };
  const ahead = prefetch(make, { first, depth, now: () => performance.now() });
  return {
    next: ahead.next,
    waiting: ahead.waiting,
    async close() {
      ahead.stop();
      await artists.close();
    },
  };
}

/** Uses of a batch's key, then of a row's. */
const BUCKET = 0;
const ROWS = 1;
const SPEC = 0;
const CAPTION = 1;
