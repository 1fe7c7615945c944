import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { memoryUsage } from "node:process";
import { beginFilm, type FilmPlace, type FilmRequest, runFilm } from "../src/films/mod.ts";
import { decodePicture, type Picture } from "../src/image/mod.ts";
import {
  colorDrift,
  type MotionRequest,
  mapOf,
  meanDifference,
  measuredScale,
  movedDifference,
  parsePrompts,
  planAnimation,
  resolveMotion,
  warpPicture,
} from "../src/motion/mod.ts";
import { Kandinsky3, openLocalFile } from "../src/pipelines/mod.ts";
import { FILM_FORMATS, type FilmFormat, writeFilm } from "../src/video/mod.ts";
import { median } from "./measure.ts";

/** How much of the films is measured. */
export interface FilmCases {
  /** Pixels a side of encoded and warped frames. */
  readonly side: number;
  /** Frames of a short and of a long film. */
  readonly lengths: readonly [short: number, long: number];
  /** Frames of the animations; 0 leaves them out. */
  readonly animated: number;
  /** Key frames of the zoom film, and frames from one to the next. */
  readonly zoom: readonly [keys: number, tweens: number];
}

/** Encoding one film. */
export interface EncodeResult {
  readonly format: FilmFormat;
  readonly frames: number;
  readonly framesPerSecond: number;
  /** Resident memory at the end of the film. */
  readonly residentBytes: number;
}

/** An animation with its defaults, or with one of them off. */
export interface AnimationResult {
  readonly name: string;
  /** Median difference of a frame and the one before, moved: levels of 255. */
  readonly flicker: number;
  /** The largest of those, at a drawn frame that pops in. */
  readonly worstFlicker: number;
  /** Mean and last CIELAB distance of the mean colour from the first frame's. */
  readonly drift: number;
  readonly lastDrift: number;
}

export interface FilmsFound {
  readonly encode: readonly EncodeResult[];
  readonly side: number;
  readonly warpSeconds: readonly number[];
  readonly animations: readonly AnimationResult[];
  readonly zoom: ZoomResult;
}

/** Zoom films by nano. */
export interface ZoomResult {
  /** The largest difference of the measured scale of a frame to the one before, and the one asked for, as a share. */
  readonly worstScale: number;
  /** The largest frame difference beside a key frame, over the median of all frames and of the 25 around it. */
  readonly jump: number;
  readonly localJump: number;
}

/** Encoding, warping, and what each default of animation is worth. */
export async function measureFilms(
  { side, lengths, animated, zoom }: FilmCases,
  scratch: string,
  tell: (line: string) => void,
): Promise<FilmsFound> {
  const encode: EncodeResult[] = [];
  for (const format of Object.keys(FILM_FORMATS) as FilmFormat[]) {
    for (const frames of lengths) {
      tell(`films: ${format}, ${frames} frames`);
      encode.push(await encodeFilm(format, frames, side, scratch));
    }
  }
  const warpSeconds = timeWarp(side);
  const animations: AnimationResult[] = [];
  for (const [name, change] of animated === 0 ? [] : VARIANTS) {
    tell(`films: animation, ${name}`);
    animations.push(await animation(name, { ...BASE, frames: animated, ...change }, scratch));
  }
  tell("films: zoom");
  return { encode, side, warpSeconds, animations, zoom: await zoomFilms(zoom, scratch) };
}

async function encodeFilm(
  format: FilmFormat,
  frames: number,
  side: number,
  scratch: string,
): Promise<EncodeResult> {
  const path = join(scratch, `bench.${format}`);
  // A few pictures again and again: making them is not what is measured.
  const reel = Array.from({ length: 24 }, (_, i) => moving(side, i));
  let residentBytes = 0;
  const pictures = function* () {
    for (let i = 0; i < frames; i++) {
      if (i === frames - 1) residentBytes = memoryUsage.rss();
      yield reel[i % reel.length]!;
    }
  };
  const since = performance.now();
  await writeFilm(path, pictures(), { frameRate: 24, overwrite: true });
  const framesPerSecond = (1000 * frames) / (performance.now() - since);
  await rm(path, { force: true });
  return { format, frames, framesPerSecond, residentBytes };
}

/** Coloured waves with grain, moved by `index`: harder to compress than a drawing, easier than noise. */
function moving(side: number, index: number): Picture {
  const data = new Uint8Array(3 * side * side);
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++, at += 3) {
      const grain = ((x + 2 * index) * 7919 + (y + index) * 104_729) % 13;
      data[at] = 110 + 70 * Math.sin((x + 2 * index) / 31) * Math.cos(y / 23) + grain;
      data[at + 1] = 110 + 60 * Math.cos((y - index) / 41) + grain;
      data[at + 2] = 110 + 80 * Math.sin((x + y) / 53) + grain;
    }
  }
  return { width: side, height: side, data };
}

function timeWarp(side: number): number[] {
  const motion = { translationX: 2.5, translationZ: 3, rotationX: 0.5, rotationY: 0.5, rotationZ: 1 };
  const plan = planAnimation(resolveMotion({ frames: 2, motion }), parsePrompts(""), 0);
  const picture = moving(side, 0);
  const map = mapOf(plan, 1, picture);
  return Array.from({ length: 20 }, () => {
    const since = performance.now();
    warpPicture(picture, [map], "replicate");
    return (performance.now() - since) / 1000;
  });
}

const BASE: MotionRequest = { motion: { translationZ: 2, rotationZ: 0.5 } };

/** The defaults, and each of them off. */
const VARIANTS: readonly (readonly [name: string, change: MotionRequest])[] = [
  ["defaults", {}],
  ["without colour coherence", { coherence: "none" }],
  ["without cadence", { cadence: 1 }],
  ["optical flow instead of mixing", { blend: "flow" }],
  ["with sharpening of 0.2", { amount: 0.2 }],
  ["seeds that go on", { seedBehavior: "iter" }],
];

/** One prompt for all key frames, as is usual: around nothing but background all differences would shrink. */
const ZOOMED = [
  "a red apple on a blue background",
  "nine stars in a grid",
  "two pandas on a pink background",
];

/** The worst of several films. */
async function zoomFilms(course: FilmCases["zoom"], scratch: string): Promise<ZoomResult> {
  const films: ZoomResult[] = [];
  for (const prompt of ZOOMED) films.push(await zoomFilm(prompt, course, scratch));
  const worst = (figure: keyof ZoomResult) => Math.max(...films.map((film) => film[figure]));
  return { worstScale: worst("worstScale"), jump: worst("jump"), localJump: worst("localJump") };
}

async function zoomFilm(
  prompt: string,
  [keys, tweens]: FilmCases["zoom"],
  scratch: string,
): Promise<ZoomResult> {
  const request = { operation: "zoom", prompts: prompt, keys, tweens, ratio: RATIO, seed: 3 } as const;
  const frames = await framesOf(request, scratch);
  const pairs = frames.slice(1).map((frame, i) => [frames[i]!, frame] as const);
  const scales = pairs.map(([before, after]) => measuredScale(before, after) / RATIO ** (1 / tweens) - 1);
  const steps = pairs.map(([before, after]) => meanDifference(before, after));
  const atKeys = steps.flatMap((step, i) => ((i + 1) % tweens < 2 && i > 0 ? [[step, i] as const] : []));
  const around = (i: number) => median(steps.slice(Math.max(0, i - AROUND), i + AROUND + 1));
  return {
    worstScale: Math.max(...scales.map(Math.abs)),
    jump: Math.max(...atKeys.map(([step]) => step)) / median(steps),
    localJump: Math.max(...atKeys.map(([step, i]) => step / around(i))),
  };
}

const RATIO = 1.5;
/** Frames to each side that a jump is compared with: things shrink, and so do the differences. */
const AROUND = 12;

async function animation(name: string, motion: MotionRequest, scratch: string): Promise<AnimationResult> {
  const request = {
    operation: "animate",
    prompts: "a red apple on a blue background",
    seed: 7,
    motion,
  } as const;
  const frames = await framesOf(request, scratch);
  const plan = planAnimation(resolveMotion(motion), parsePrompts(request.prompts), request.seed);
  const flicker = frames
    .slice(1)
    .map((frame, i) => movedDifference(frames[i]!, frame, mapOf(plan, i + 1, frame)));
  const drift = colorDrift(frames);
  return {
    name,
    flicker: median(flicker),
    worstFlicker: Math.max(...flicker),
    drift: drift.reduce((sum, value) => sum + value, 0) / drift.length,
    lastDrift: drift.at(-1)!,
  };
}

/** Makes a film by nano and returns its frames. */
async function framesOf(request: FilmRequest, scratch: string): Promise<Picture[]> {
  const folder = await mkdtemp(join(scratch, "film-"));
  await using model = await Kandinsky3.load();
  const film = { file: "film.webm", frameRate: 24 };
  const place: FilmPlace = { folder, film, info: model.info, loras: [], open: openLocalFile };
  const job = await beginFilm(request, place, false);
  const frames: Picture[] = [];
  for await (const event of runFilm(model, job, { open: openLocalFile })) {
    if (event.type === "frame") frames.push(await decodePicture(await openLocalFile(event.file)));
  }
  await rm(folder, { recursive: true, force: true });
  return frames;
}
