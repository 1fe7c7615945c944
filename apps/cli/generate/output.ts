import { basename, dirname, extname, join } from "node:path";
import {
  checkOutput,
  encodePicture,
  encodePixels,
  type Picture,
  type PictureFormat,
  type PictureMetadata,
  saveFile,
} from "../../../src/image/mod.ts";
import type { Job, PictureJob } from "../../../src/pipelines/mod.ts";

/** Where pictures go. */
export interface OutputPlan {
  /** File name with `{number}`, `{seed}` or `{index}`. */
  readonly pattern: string;
  readonly format: PictureFormat;
  readonly overwrite: boolean;
}

/** The plan for a number of pictures: several get their place in the run where the name tells none apart. */
export function planOutput(
  output: string | undefined,
  format: PictureFormat,
  overwrite: boolean,
  pictures: number,
): OutputPlan {
  const given = output ?? "kandinsky-{number}";
  const named = /\.(png|webp|jpe?g)$/i.test(given) ? given : `${given}.${format}`;
  const pattern =
    pictures === 1 || /\{(number|seed|index)\}/.test(named) ? named : beforeExtension(named, "-{index}");
  return { pattern, format, overwrite };
}

/** Throws, before any work, what saving would throw. */
export async function checkOutputs({ pattern, overwrite }: OutputPlan, job: Job, done: ReadonlySet<number>) {
  const left = job.pictures.filter(({ index }) => !done.has(index));
  // Free numbers are found when saving: one look at the folder is enough.
  const asked = pattern.includes("{number}") ? left.slice(0, 1) : left;
  for (const picture of asked) await checkOutput(pattern, { overwrite, values: valuesOf(picture) });
}

/** Saves a picture with its settings and returns the path. */
export async function savePicture(
  { pattern, format, overwrite }: OutputPlan,
  job: PictureJob,
  picture: Picture,
  metadata: PictureMetadata,
): Promise<string> {
  const bytes = await encodePicture(picture, format, metadata);
  return saveFile(pattern, bytes, { overwrite, values: valuesOf(job) });
}

/** Saves the sheet of a run beside its first picture and returns the path. */
export async function saveSheet(
  { pattern, format, overwrite }: OutputPlan,
  job: Job,
  sheet: Picture,
): Promise<string> {
  const stem = basename(pattern, extname(pattern)).replaceAll(/-?\{\w+\}/g, "") || "kandinsky";
  const name = `${stem}-sheet${overwrite ? "" : "-{number}"}${extname(pattern)}`;
  const values = valuesOf(job.pictures[0]!);
  return saveFile(join(dirname(pattern), name), await encodePixels(sheet, format), { overwrite, values });
}

function valuesOf({ seed, index }: PictureJob) {
  return { seed, index: index + 1 };
}

function beforeExtension(path: string, insert: string): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}${insert}${extension}`;
}
