import type { FileHandle } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";
import { KandinskyError } from "../base/mod.ts";
import { metadataExif, type Picture, saveFile } from "../image/mod.ts";
import { withSound } from "./audio.ts";
import {
  checkFilm,
  checkFrameSize,
  type FilmFormat,
  type FilmOptions,
  filmFormatOf,
  frameTime,
  noFrames,
} from "./format.ts";
import { GIF_END, gifComment, gifFrame, gifHeader, gifImage } from "./gif.ts";
import { forgetTimes } from "./mp4-times.node.ts";
import { type MuxOptions, mux } from "./mux.ts";
import { settingsText } from "./settings.node.ts";
import { encodeVp9 } from "./vp9.ts";
import { webpExif, webpHeader, webpImage, webpPicture } from "./webp.ts";
import { yuvFromPicture } from "./yuv.ts";

type Size = Pick<Picture, "width" | "height">;

/** Frames whose first one has been looked at. */
interface Reel {
  readonly size: Size;
  readonly frames: AsyncIterable<Picture>;
}

type WriteReel = (file: FileHandle, reel: Reel, options: FilmOptions) => Promise<void>;

const WRITERS: Readonly<Record<FilmFormat, WriteReel>> = {
  webm: (file, reel, options) => writeVideo(file, reel, options, "webm"),
  mp4: (file, reel, options) => writeVideo(file, reel, options, "mp4"),
  gif: writeGif,
  webp: writeWebp,
};

/**
 * Writes frames of one size as a film, whole or not at all, and returns its path: VP9 in `.webm` or `.mp4`, `.gif`, or
 * animated `.webp`. It has exactly as many frames as come, each for 1 / `frameRate` seconds. Frames are taken one at a
 * time; memory does not grow with their number. Throws `option_invalid`, `input_missing` for no frames, what
 * `saveFile` throws, and what the frames throw.
 */
export async function writeFilm(
  path: string,
  frames: AsyncIterable<Picture> | Iterable<Picture>,
  options: FilmOptions,
): Promise<string> {
  const format = filmFormatOf(path);
  checkFilm(format, options);
  const fill = async (file: FileHandle) => WRITERS[format](file, await reelOf(frames, format, path), options);
  return saveFile(path, fill, { overwrite: options.overwrite ?? false });
}

async function reelOf(
  frames: AsyncIterable<Picture> | Iterable<Picture>,
  format: FilmFormat,
  path: string,
): Promise<Reel> {
  const iterator =
    Symbol.asyncIterator in frames ? frames[Symbol.asyncIterator]() : frames[Symbol.iterator]();
  const first = await iterator.next();
  if (first.done === true) throw noFrames(path);
  const { width, height } = first.value;
  checkFrameSize(format, width, height);
  return { size: { width, height }, frames: rest(first.value, iterator) };
}

/** All frames, of which the first is there already; they must have its size. */
async function* rest(
  first: Picture,
  iterator: AsyncIterator<Picture> | Iterator<Picture>,
): AsyncGenerator<Picture, void, void> {
  try {
    yield first;
    for (let index = 2; ; index++) {
      const next = await iterator.next();
      if (next.done === true) return;
      if (next.value.width !== first.width || next.value.height !== first.height) {
        throw new KandinskyError("option_invalid", {
          what: "the frames of a film have one size",
          where: `frame ${index}`,
          seen: `${next.value.width}x${next.value.height}`,
          wanted: `${first.width}x${first.height}`,
        });
      }
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function writeVideo(
  file: FileHandle,
  { size, frames }: Reel,
  { frameRate, quality = 75, audio, metadata }: FilmOptions,
  container: MuxOptions["container"],
): Promise<void> {
  const packets = encodeVp9(planes(frames), quality);
  const write = (data: Uint8Array, position: number) => writeAt(file, data, position);
  const comment = metadata === undefined ? {} : { comment: settingsText(metadata) };
  const options = { container, frameRate, ...size, ...comment };
  if (audio === undefined) await mux(packets, options, write);
  else await withSound(audio, (sound) => mux(packets, { ...options, sound }, write));
  if (container === "mp4") await forgetTimes(file);
}

async function* planes(frames: AsyncIterable<Picture>) {
  for await (const frame of frames) yield yuvFromPicture(frame);
}

async function writeGif(file: FileHandle, { size, frames }: Reel, options: FilmOptions): Promise<void> {
  const { frameRate, quality = 75, loop = 0, metadata } = options;
  let at = 0;
  const append = async (bytes: Uint8Array) => {
    await writeAt(file, bytes, at);
    at += bytes.length;
  };
  await append(gifHeader(size.width, size.height, loop));
  if (metadata !== undefined) await append(gifComment(settingsText(metadata)));
  // Dots of a dithered frame would flicker, and cost time and space.
  const colours = Math.max(2, Math.round(2.56 * quality));
  let index = 0;
  for await (const gif of compressed(frames, (frame) =>
    frame.gif({ colours, effort: 1, dither: 0 }).toBuffer(),
  )) {
    const delay = frameTime(index + 1, frameRate, 100) - frameTime(index, frameRate, 100);
    await append(gifImage(gifFrame(gif), delay));
    index++;
  }
  await append(GIF_END);
}

async function writeWebp(file: FileHandle, { size, frames }: Reel, options: FilmOptions): Promise<void> {
  const { frameRate, quality = 75, loop = 0, metadata } = options;
  const film = { ...size, loop, hasExif: metadata !== undefined };
  let at = webpHeader(film, 0).length;
  let index = 0;
  for await (const webp of compressed(frames, (frame) => frame.webp({ quality, effort: 1 }).toBuffer())) {
    const delay = frameTime(index + 1, frameRate, 1000) - frameTime(index, frameRate, 1000);
    const image = webpImage(webpPicture(webp), size, delay);
    await writeAt(file, image, at);
    at += image.length;
    index++;
  }
  if (metadata !== undefined) {
    const exif = webpExif(metadataExif(metadata));
    await writeAt(file, exif, at);
    at += exif.length;
  }
  await writeAt(file, webpHeader(film, at), 0);
}

/** Frames that are compressed at once: sharp works in threads of its own. */
const AT_ONCE = 2;

/** Every frame compressed by itself, in order. */
async function* compressed(
  frames: AsyncIterable<Picture>,
  compress: (frame: Sharp) => Promise<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  const under: Promise<Buffer>[] = [];
  for await (const { width, height, data } of frames) {
    const pending = compress(sharp(data, { raw: { width, height, channels: 3 } }));
    // It is awaited later; a failure before that is no failure of the process.
    pending.catch(() => {});
    under.push(pending);
    if (under.length >= AT_ONCE) yield await under.shift()!;
  }
  for (const pending of under) yield await pending;
}

/** Writes all of the bytes: one call of the system may take only a part. */
async function writeAt(file: FileHandle, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await file.write(data, done, data.length - done, position + done)).bytesWritten;
  }
}
