import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Picture, resizePicture } from "../image/mod.ts";
import { type FilmOptions, writeFilm } from "../video/mod.ts";
import type { FilmEvent } from "./events.ts";
import type { FrameStore } from "./folder.node.ts";
import type { FilmJob } from "./job.node.ts";
import { filmMetadata } from "./metadata.ts";

/** How a film is written when all frames are there. */
export interface FilmOutput extends Omit<FilmOptions, "overwrite" | "frameRate" | "metadata"> {
  /** Name of the file, in the folder unless it says otherwise. */
  readonly file: string;
}

const PREVIEW = "preview.webp";
/** Pixels of the preview's longer side. */
const PREVIEW_SIDE = 192;
const FIRST_PREVIEW = 8;

/** Whether a preview is due: at 8, 16, 32... frames, so that all of them together cost less than twice the last. */
export function isPreviewDue(frames: number): boolean {
  return frames >= FIRST_PREVIEW && Number.isInteger(Math.log2(frames / FIRST_PREVIEW));
}

/** Writes a small film of the frames so far beside the big one. */
export async function* writePreview(
  folder: string,
  store: FrameStore,
  frames: number,
  frameRate: number,
): AsyncGenerator<FilmEvent, void, void> {
  const path = join(folder, PREVIEW);
  const small = async function* () {
    for await (const picture of framesOf(store, frames)) {
      const scale = Math.min(1, PREVIEW_SIDE / Math.max(picture.width, picture.height));
      const [width, height] = [picture.width, picture.height].map((side) =>
        Math.max(1, Math.round(side * scale)),
      );
      yield scale === 1 ? picture : await resizePicture(picture, width!, height!);
    }
  };
  const file = await writeFilm(path, small(), { frameRate, quality: 60, overwrite: true });
  yield { type: "preview", file, frames };
}

/** The frames of the film from their files, one at a time. */
export async function* framesOf(store: FrameStore, frames: number): AsyncGenerator<Picture, void, void> {
  for (let frame = 0; frame < frames; frame++) yield await store.load("frames", frame);
}

/** Writes the film; the preview has done its work. */
export async function* writeWhole(
  job: FilmJob,
  frames: AsyncIterable<Picture>,
  count: number,
): AsyncGenerator<FilmEvent, void, void> {
  const { folder, settings } = job;
  const { file: name, ...options } = job.film;
  const metadata = filmMetadata(job, settings);
  const file = await writeFilm(join(folder, name), frames, { ...options, metadata, overwrite: true });
  await rm(join(folder, PREVIEW), { force: true });
  yield { type: "film", file, frames: count };
}
