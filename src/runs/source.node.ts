import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import {
  type Cursor,
  EVEN_WEIGHTS,
  type KnownSample,
  openDataset,
  openStream,
  type Rank,
  type Skipped,
  type Waiting,
} from "../data/mod.ts";
import type { Picture } from "../image/mod.ts";
import { foldIn, type Key } from "../random/mod.ts";
import {
  NANO_CAPTIONS,
  NANO_SCENES,
  openMasters,
  openSceneStream,
  readSubjects,
  SCENES_CACHE,
  type StyleName,
  type Subject,
} from "../scenes/mod.ts";
import type { RunOf } from "./config.ts";
import type { ShownObject } from "./holes.ts";
import { sceneObjects } from "./scene-objects.ts";

/** What one update learns from. */
export interface SourceBatch {
  /** All of one size. */
  readonly pictures: readonly Picture[];
  readonly texts: readonly string[];
  /** What each picture shows: nothing where that was not asked for or the data does not know. */
  readonly objects: readonly (readonly ShownObject[])[];
  /** Plain data: where the stage goes on after this batch. */
  readonly cursor: unknown;
}

/** Batches of one stage, without end, made ahead by threads. */
export interface Source {
  next(): Promise<SourceBatch>;
  waiting(): Waiting;
  close(): Promise<void>;
}

export interface SourceRequest {
  readonly data: Data;
  readonly stage: PictureStage;
  /** Whose rows of each batch are wanted. */
  readonly rank: Rank;
  readonly key: Key;
  /** What a batch said; undefined at the start of a stage. */
  readonly cursor: unknown;
  /** Where what was found out about data is kept. */
  readonly cache: string;
  /** Whether batches say what their pictures show. */
  readonly objects: boolean;
  /** Whether samples that are kept from training are wanted; scenes are others with every key. */
  readonly apart?: boolean;
  readonly onSkipped: (skipped: readonly Skipped[]) => void;
  readonly onPrepare: (what: string) => void;
}

type Data = RunOf<"diffusion">["data"];
type PictureStage = RunOf<"diffusion">["stages"][number];
type Kind = Data["kind"];
type DataOf<K extends Kind> = Extract<Data, { kind: K }>;

/** How each kind of data becomes batches. */
const SOURCES: { readonly [K in Kind]: (data: DataOf<K>, request: SourceRequest) => Promise<Source> } = {
  scenes: openScenes,
  files: openFiles,
};

/** Opens the data of a stage at a cursor. Throws what the kind of data throws. */
export function openSource(request: SourceRequest): Promise<Source> {
  const { data } = request;
  return SOURCES[data.kind](data as never, request);
}

const DEPTH = 3;
/** The engine has threads of its own; data needs a small part of one. */
export const WORKERS = Math.max(1, Math.min(4, availableParallelism() - 1));

/** The subjects of these codes, or all: those that are kept from training too. */
export async function subjectsOf(codes: readonly string[] | undefined): Promise<readonly Subject[]> {
  const wanted = codes === undefined ? undefined : new Set(codes);
  return (await readSubjects()).filter(({ code }) => wanted?.has(code) ?? true);
}

/** The styles that are drawn at all. */
export function stylesOf({ styles }: Pick<DataOf<"scenes">, "styles">): StyleName[] {
  return (Object.keys(styles) as StyleName[]).filter((style) => styles[style]! > 0);
}

async function openScenes(data: DataOf<"scenes">, request: SourceRequest): Promise<Source> {
  const { stage, key, rank, cursor, onPrepare } = request;
  const { kinds, styles, alone, pool = Number.POSITIVE_INFINITY } = data;
  const subjects = await subjectsOf(data.subjects);
  const folder = data.folder ?? SCENES_CACHE;
  const stream = await openSceneStream({
    subjects,
    scenes: { ...NANO_SCENES, kinds, styles, alone },
    captions: NANO_CAPTIONS,
    folder,
    buckets: stage.sizes,
    batch: stage.batch,
    key,
    pool: Math.ceil(pool / stage.batch),
    rank,
    first: z.int().min(0).default(0).parse(cursor),
    workers: WORKERS,
    depth: DEPTH,
    onStage: (step) => onPrepare("installs" in step ? step.installs.join(", ") : step.draws),
  });
  const codes = subjects.map(({ code }) => code);
  const masters = request.objects ? await openMasters({ folder, codes, styles: stylesOf(data) }) : undefined;
  const byCode = new Map(subjects.map((subject) => [subject.code, subject]));
  return {
    waiting: stream.waiting,
    close: stream.close,
    async next() {
      const { pictures, captions, specs, bucket, next } = await stream.next();
      const objects = specs.map((spec, row) =>
        masters === undefined ? [] : sceneObjects(spec, `${row}`, { masters, subjects: byCode, ...bucket }),
      );
      return { pictures, texts: captions.map(({ text }) => text), objects, cursor: next };
    },
  };
}

const CURSOR = z.object({ epoch: z.int().min(0), batch: z.int().min(0) }).default({ epoch: 0, batch: 0 });
/** Samples that the order is mixed over. */
const BUFFER = 1000;
const STREAM = 0;

async function openFiles(data: DataOf<"files">, request: SourceRequest): Promise<Source> {
  const { stage, key, rank, cursor, cache, onSkipped, onPrepare } = request;
  const whole = await openDataset({
    sources: data.paths,
    cache,
    captions: data.captions,
    workers: WORKERS,
    onProgress: (done, total) => onPrepare(`${done} / ${total}`),
  });
  if (whole.skipped.length > 0) onSkipped(whole.skipped);
  const dataset = { ...whole, samples: partOf(whole.samples, data.apart, request.apart === true) };
  const stream = await openStream({
    dataset,
    buckets: stage.sizes,
    batch: stage.batch,
    key: foldIn(key, STREAM),
    rank,
    cursor: CURSOR.parse(cursor) satisfies Cursor,
    weights: EVEN_WEIGHTS,
    buffer: BUFFER,
    enlarge: data.enlarge,
    flip: data.flip,
    workers: WORKERS,
    depth: DEPTH,
  });
  return {
    waiting: stream.waiting,
    close: stream.close,
    async next() {
      const { pictures, texts, cursor: after } = await stream.next();
      return {
        pictures,
        texts: texts.map((choice) => choice?.text ?? ""),
        objects: pictures.map(() => []),
        cursor: after,
      };
    },
  };
}

/** Samples kept apart, or those that are left for training: by a hash of their keys, whatever their order. */
function partOf(samples: readonly KnownSample[], share: number, isApart: boolean): readonly KnownSample[] {
  if (share === 0) return samples;
  const hashOf = ({ key }: KnownSample) => createHash("sha256").update(key).digest("hex");
  const hashed = samples.map((sample) => ({ sample, hash: hashOf(sample) }));
  const count = Math.max(1, Math.round(share * samples.length));
  const apart = new Set(
    hashed
      .sort((a, b) => (a.hash < b.hash ? -1 : 1))
      .slice(0, count)
      .map(({ sample }) => sample),
  );
  const part = samples.filter((sample) => apart.has(sample) === isApart);
  if (part.length > 0) return part;
  throw new KandinskyError("input_missing", {
    what: "no picture is left for training",
    seen: `${samples.length} in all, ${count} kept apart`,
    hint: "add pictures, or keep none apart",
  });
}
