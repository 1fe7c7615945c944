import { KandinskyError, nearest } from "../base/mod.ts";
import type { PictureMetadata } from "../image/mod.ts";

/** A kind of film file. */
export type FilmFormat = keyof typeof FILM_FORMATS;

/** What each kind can hold: frames a second, pixels a side, sound, and whether it says how often it repeats. */
export const FILM_FORMATS = {
  webm: { maxRate: 240, maxSide: 16_384, sound: true, loops: false },
  mp4: { maxRate: 240, maxSide: 16_384, sound: true, loops: false },
  /** Delays are whole hundredths of a second, and viewers slow down what is below two of them. */
  gif: { maxRate: 50, maxSide: 65_535, sound: false, loops: true },
  /** Delays are whole milliseconds. */
  webp: { maxRate: 240, maxSide: 16_383, sound: false, loops: true },
} as const;

/** What compresses films, for people who ask under which terms. H.264 and AAC, which need a patent licence, are not here. */
export const FILM_CODEC = {
  codec: "VP9",
  library: "libvpx, libav.js",
  license: "BSD-3-Clause, LGPL-2.1",
} as const;

/** How a film is written. */
export interface FilmOptions {
  /** Frames a second: above 0, at most 240 (GIF: 50). */
  readonly frameRate: number;
  /** 1 to 100, default 75: more is closer to the frames and larger. */
  readonly quality?: number;
  /** GIF and WebP: how often it plays, 0 (default) for ever. */
  readonly loop?: number;
  /** WebM and MP4: a file whose sound goes with the film, from its beginning to the film's end. */
  readonly audio?: string;
  /** What the film was made with, written into it; `readFilmSettings` gives its `json` back. */
  readonly metadata?: PictureMetadata;
  /** Whether a file of that name is replaced; without, it is an error. */
  readonly overwrite?: boolean;
}

/** The format that a file name asks for; throws `option_invalid` for another ending. */
export function filmFormatOf(path: string): FilmFormat {
  const extension = /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  if (Object.hasOwn(FILM_FORMATS, extension)) return extension as FilmFormat;
  const names = Object.keys(FILM_FORMATS);
  const close = nearest(extension, names);
  throw new KandinskyError("option_invalid", {
    what: "cannot write films of this kind",
    where: path,
    seen: extension === "" ? "no ending" : `.${extension}`,
    wanted: names.map((name) => `.${name}`).join(", "),
    ...(close === undefined ? {} : { hint: `did you mean .${close}?` }),
  });
}

/** Throws `option_invalid` where the format cannot have these options. Nothing is drawn before this is known. */
export function checkFilm(format: FilmFormat, options: FilmOptions): void {
  const { maxRate, sound, loops } = FILM_FORMATS[format];
  const { frameRate, quality = 75, loop, audio } = options;
  if (!(frameRate > 0 && frameRate <= maxRate)) {
    throw invalid("frame rate", String(frameRate), `more than 0, at most ${maxRate} for ${format}`);
  }
  if (!(quality >= 1 && quality <= 100)) throw invalid("quality", String(quality), "1 to 100");
  if (loop !== undefined && !(Number.isInteger(loop) && loop >= 0 && loop <= 65_535)) {
    throw invalid("loop", String(loop), "a whole number from 0 (for ever) to 65535");
  }
  if (loop !== undefined && !loops) {
    throw invalid("loop", `${loop} for ${format}`, "a .gif or .webp", "a player decides whether it repeats");
  }
  if (audio !== undefined && !sound) throw invalid("audio", `${audio} for ${format}`, "a .webm or .mp4");
}

/** Throws `option_invalid` where the format cannot hold frames of this size. */
export function checkFrameSize(format: FilmFormat, width: number, height: number): void {
  const { maxSide } = FILM_FORMATS[format];
  if (Math.max(width, height) <= maxSide) return;
  throw invalid("size", `${width}x${height}`, `at most ${maxSide} pixels a side for ${format}`);
}

/** A film without frames. */
export function noFrames(where: string): KandinskyError {
  return new KandinskyError("input_missing", {
    what: "a film needs frames",
    where,
    seen: "none",
    wanted: "at least one",
    hint: "ask for a longer film",
  });
}

/**
 * The time of frame `index` in whole units of 1/`unit` second. Rounding times instead of durations keeps the film's
 * length exact to half a unit however many frames it has.
 */
export function frameTime(index: number, frameRate: number, unit: number): number {
  return Math.round((index * unit) / frameRate);
}

function invalid(where: string, seen: string, wanted: string, hint?: string): KandinskyError {
  const parts = { what: "cannot write this film", where, seen, wanted };
  return new KandinskyError("option_invalid", { ...parts, ...(hint === undefined ? {} : { hint }) });
}
