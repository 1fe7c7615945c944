import { createHash } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { saveText } from "../image/mod.ts";
import { listSamples } from "./folder.node.ts";
import type { PictureJob, PictureResult } from "./pictures.node.ts";
import { openWorkerPool, type WorkerPool } from "./pool.node.ts";
import { readStretch } from "./read.node.ts";
import type { Sample } from "./sample.ts";
import { type CaptionPolicy, parseTexts, type TextChoice } from "./texts.ts";

/** A sample that can be trained on. */
export interface KnownSample {
  readonly key: string;
  readonly picture: Sample["picture"];
  /** Upright. */
  readonly width: number;
  readonly height: number;
  /** Empty only under the policy `empty`. */
  readonly texts: readonly TextChoice[];
}

/** A sample that is left out, and why. */
export interface Skipped {
  readonly key: string;
  readonly reason: "unreadable" | "no caption";
  readonly detail: string;
}

/** Data that has been looked through. */
export interface Dataset {
  readonly samples: readonly KnownSample[];
  readonly skipped: readonly Skipped[];
}

export interface DatasetOptions {
  /** Shards and folders. */
  readonly sources: readonly string[];
  /** What looking through found is kept here, and found again while the files keep sizes and times. */
  readonly cache: string;
  readonly captions: CaptionPolicy;
  readonly workers: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The threads that read pictures. */
export type PicturePool = WorkerPool<PictureJob, PictureResult>;

/** Starts threads that read pictures. */
export function openPicturePool(workers: number): Promise<PicturePool> {
  return openWorkerPool(new URL("./pictures.node.js", import.meta.url), undefined, workers);
}

/**
 * Looks through all data once: lists it, decodes every picture and reads every caption. Pictures that do not decode
 * are left out and listed; so are those without a caption under the policy `skip`. Nothing of a picture stays in
 * memory. Throws what `listSamples` throws, and `input_missing` for a picture without a caption under the policy
 * `error` and where nothing is left.
 */
export async function openDataset(options: DatasetOptions): Promise<Dataset> {
  const { sources, cache, captions } = options;
  const samples = await listSamples(sources);
  const path = join(cache, `index-${await fingerprint(samples)}.json`);
  const looked = (await readIndex(path, samples.length)) ?? (await lookThrough(path, samples, options));
  const known: KnownSample[] = [];
  const skipped: Skipped[] = [];
  for (const [i, { key, picture }] of samples.entries()) {
    const found = looked[i]!;
    if ("failure" in found) skipped.push({ key, reason: "unreadable", detail: found.failure });
    else if (found.texts.length > 0 || captions === "empty") known.push({ key, picture, ...found });
    else skipped.push({ key, reason: "no caption", detail: "no text beside it" });
  }
  const bare = skipped.find(({ reason }) => reason === "no caption");
  if (captions === "error" && bare !== undefined) {
    throw new KandinskyError("input_missing", {
      what: "a picture has no caption",
      where: bare.key,
      wanted: "a text in a .txt or .json file of the same name",
      hint: "write one, or let such pictures be skipped or trained without words",
    });
  }
  if (known.length === 0) {
    const [first] = skipped;
    throw new KandinskyError("input_missing", {
      what: "no picture of the data can be used",
      where: sources.join(", "),
      seen: `${skipped.length} left out, the first ${first!.key}: ${first!.reason}, ${first!.detail}`,
    });
  }
  return { samples: known, skipped };
}

type Looked =
  | { readonly width: number; readonly height: number; readonly texts: readonly TextChoice[] }
  | { readonly failure: string };

async function lookThrough(
  path: string,
  samples: readonly Sample[],
  { cache, workers, onProgress }: DatasetOptions,
): Promise<readonly Looked[]> {
  await mkdir(cache, { recursive: true });
  const pool = await openPicturePool(workers);
  const looked = new Array<Looked>(samples.length);
  try {
    let next = 0;
    let done = 0;
    const lane = async () => {
      while (next < samples.length) {
        const at = next++;
        looked[at] = await look(pool, samples[at]!);
        onProgress?.(++done, samples.length);
      }
    };
    await Promise.all(Array.from({ length: 2 * workers }, lane));
  } finally {
    await pool.close();
  }
  await saveText(path, JSON.stringify(looked));
  return looked;
}

async function look(pool: PicturePool, { key, picture, texts }: Sample): Promise<Looked> {
  const found = await pool.run({ kind: "inspect", picture, key });
  if ("failure" in found) return found;
  const files = await Promise.all(
    Object.entries(texts).map(async ([extension, stretch]) => ({
      extension,
      content: new TextDecoder().decode(await readStretch(stretch)),
    })),
  );
  return { width: found.width, height: found.height, texts: parseTexts(files, key) };
}

async function readIndex(path: string, count: number): Promise<readonly Looked[] | undefined> {
  try {
    const looked = JSON.parse(await readFile(path, "utf8")) as readonly Looked[];
    return looked.length === count ? looked : undefined;
  } catch {
    return undefined;
  }
}

/** Changes with any name, place, size or time of a file. */
async function fingerprint(samples: readonly Sample[]): Promise<string> {
  const hash = createHash("sha256");
  const times = new Map<string, number>();
  for (const { key, picture, texts } of samples) {
    for (const { file, offset, size } of [picture, ...Object.values(texts)]) {
      const time = times.get(file) ?? (await stat(file)).mtimeMs;
      times.set(file, time);
      hash.update(JSON.stringify([key, file, offset, size, time]));
    }
  }
  return hash.digest("hex").slice(0, 16);
}
