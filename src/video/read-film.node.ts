import { access } from "node:fs/promises";
import { ALL_FORMATS, EncodedPacketSink, FilePathSource, Input, type InputVideoTrack } from "mediabunny";
import sharp from "sharp";
import { KandinskyError } from "../base/mod.ts";
import type { Picture } from "../image/mod.ts";
import { type DecodableCodec, decodeVideo, isDecodable } from "./vp9.ts";
import { pictureFromYuv } from "./yuv.ts";

/** A frame and when it is shown. */
export interface FilmFrame {
  readonly picture: Picture;
  /** From the film's beginning. */
  readonly seconds: number;
}

/** What a film file says of itself. */
export interface FilmInfo {
  readonly width: number;
  readonly height: number;
  readonly codec: string;
  /** Of all frames, the last one's time included. */
  readonly seconds: number;
}

/** Pages of a GIF or WebP that are decoded together: one by one, each would be found from the beginning. */
const PAGES_TOGETHER = 16;

/**
 * The frames of a WebM or MP4 (VP8, VP9), GIF or animated WebP, one after the other. Throws `file_missing`,
 * `file_corrupt`, and `option_invalid` for a codec that cannot be decoded here.
 */
export async function* readFilm(path: string): AsyncGenerator<FilmFrame, void, void> {
  if (isPaged(path)) yield* readPages(path);
  else yield* readVideo(path);
}

/** Size, codec and length of a film without decoding it. Throws as `readFilm`. */
export async function inspectFilm(path: string): Promise<FilmInfo> {
  if (isPaged(path)) {
    const { width, height, pageHeight = height, delay = [], format } = await pagesOf(path);
    return {
      width,
      height: pageHeight,
      codec: format,
      seconds: delay.reduce((sum, ms) => sum + ms, 0) / 1000,
    };
  }
  const input = await openInput(path);
  try {
    const { track, codec } = await trackOf(input, path);
    const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
    return { width, height, codec, seconds: await track.computeDuration() };
  } finally {
    input.dispose();
  }
}

async function* readPages(path: string): AsyncGenerator<FilmFrame, void, void> {
  const { width, height, pageHeight = height, pages = 1, delay = [] } = await pagesOf(path);
  let milliseconds = 0;
  for (let page = 0; page < pages; page += PAGES_TOGETHER) {
    const count = Math.min(PAGES_TOGETHER, pages - page);
    const data = await guard(path, () =>
      sharp(path, { page, pages: count })
        .flatten({ background: "white" })
        .toColourspace("srgb")
        .raw()
        .toBuffer(),
    );
    const size = 3 * width * pageHeight;
    for (let i = 0; i < count; i++) {
      const pixels = new Uint8Array(data.subarray(i * size, (i + 1) * size));
      yield { picture: { width, height: pageHeight, data: pixels }, seconds: milliseconds / 1000 };
      milliseconds += delay[page + i] ?? 0;
    }
  }
}

async function pagesOf(path: string) {
  await checkThere(path);
  return guard(path, () => sharp(path).metadata());
}

async function* readVideo(path: string): AsyncGenerator<FilmFrame, void, void> {
  const input = await openInput(path);
  try {
    const { track, codec } = await trackOf(input, path);
    const times: number[] = [];
    const packets = async function* () {
      for await (const packet of new EncodedPacketSink(track).packets()) {
        times.push(packet.timestamp);
        yield packet.data;
      }
    };
    for await (const planes of decodeVideo(packets(), codec, path)) {
      yield { picture: pictureFromYuv(planes), seconds: times.shift() ?? 0 };
    }
  } finally {
    input.dispose();
  }
}

async function trackOf(
  input: Input,
  where: string,
): Promise<{ readonly track: InputVideoTrack; readonly codec: DecodableCodec }> {
  const { track, codec } = await guard(where, async () => {
    const found = await input.getPrimaryVideoTrack();
    return { track: found, codec: (await found?.getCodec()) ?? null };
  });
  if (track === null) throw unreadable(where, "no moving pictures");
  if (isDecodable(codec)) return { track, codec };
  throw new KandinskyError("option_invalid", {
    what: "this film cannot be decoded here",
    where,
    seen: codec ?? "an unknown codec",
    wanted: "VP8 or VP9 in .webm or .mp4, a .gif or an animated .webp",
    hint: "convert it with another program first",
  });
}

function isPaged(path: string): boolean {
  return /\.(gif|webp)$/i.test(path);
}

export async function openInput(path: string): Promise<Input> {
  await checkThere(path);
  return new Input({ source: new FilePathSource(path), formats: ALL_FORMATS });
}

async function checkThere(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot read the film", where: path, hint: "check the name" },
      { cause },
    );
  });
}

async function guard<T>(where: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof KandinskyError) throw cause;
    throw unreadable(where, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** A film that makes no sense. */
export function unreadable(where: string, seen: string, cause?: unknown): KandinskyError {
  return new KandinskyError(
    "file_corrupt",
    { what: "cannot read the film", where, seen, wanted: "an undamaged WebM, MP4, GIF or WebP file" },
    { cause },
  );
}
