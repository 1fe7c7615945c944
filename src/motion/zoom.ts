import type { Picture } from "../image/mod.ts";

/** How fast a zoom goes over its time. */
export type Easing = keyof typeof EASINGS;

/** Share of the way at a share of the time. */
const EASINGS = {
  linear: (u) => u,
  in: (u) => u * u,
  out: (u) => 1 - (1 - u) ** 2,
  "in-out": (u) => u * u * (3 - 2 * u),
} as const satisfies Record<string, (u: number) => number>;

export const EASING_NAMES = Object.keys(EASINGS) as readonly Easing[];

/** The course of a zoom film. */
export interface ZoomCourse {
  /** Key frames, at least 2. Each next one shows `ratio` times as much. */
  readonly keys: number;
  /** Frames from a key frame to the next. */
  readonly tweens: number;
  readonly easing: Easing;
  /** Further frames that stand still at the beginning and at the end. */
  readonly hold: number;
  /** Whether it goes back the same way, so that it can be played in a loop. */
  readonly loop: boolean;
  readonly direction: "out" | "in";
}

/**
 * Where each frame of the film stands: n at key frame n, in between how far the logarithm of the scale has come. With
 * `loop` the way back leaves out both ends, which would else be shown twice.
 */
export function zoomPlaces({ keys, tweens, easing, hold, loop, direction }: ZoomCourse): number[] {
  const last = (keys - 1) * tweens;
  const way = Array.from({ length: last + 1 }, (_, i) => (keys - 1) * EASINGS[easing](i / last));
  const still = (place: number) => new Array<number>(hold).fill(place);
  const out = [...still(way[0]!), ...way, ...still(way.at(-1)!)];
  const first = direction === "out" ? out : out.toReversed();
  return loop ? [...first, ...first.slice(1, -1).toReversed()] : first;
}

/** Part of the sides over which a picture goes over into the one around it. */
const FEATHER = 0.1;

/**
 * What is seen at a place of a zoom: the key frame around it, enlarged, with the key frames before it pasted into the
 * middle, each `ratio` times smaller than the next. A picture's edge is sharp as long as it fills the view, so that
 * nothing jumps at key frames, and goes over softly the smaller it gets. `keyAt` gives key frames of one size.
 */
export function zoomView(place: number, ratio: number, keyAt: (key: number) => Picture): Picture {
  const base = Math.ceil(place);
  const { width, height } = keyAt(base);
  const values = scaled(keyAt(base), ratio ** (base - place));
  for (const key of [base - 1, base - 2]) {
    const opacity = Math.min(1, 2 - (place - key));
    if (key < 0 || opacity <= 0) continue;
    paste(values, keyAt(key), ratio ** (key - place), ratio, opacity);
  }
  const data = new Uint8ClampedArray(values);
  return { width, height, data: new Uint8Array(data.buffer) };
}

/** A key frame in the middle of the one that is to be drawn around it, and which pixels are its own. */
export interface Surrounded {
  /** The rest is mid grey, as models for inpainting are trained. */
  readonly picture: Picture;
  /** One byte a pixel: 255 where something is to be drawn. */
  readonly hole: Uint8Array;
}

const GREY = 128;

/** The picture `ratio` times smaller in the middle of its own size; pixels that it only touches belong to the hole. */
export function surround(picture: Picture, ratio: number): Surrounded {
  const { width, height } = picture;
  const small = scaled(picture, 1 / ratio);
  const hole = new Uint8Array(width * height);
  const data = new Uint8ClampedArray(small);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const inside = insideBy(x, width, 1 / ratio) >= 0.5 && insideBy(y, height, 1 / ratio) >= 0.5;
      if (inside) continue;
      hole[i] = 255;
      data.fill(GREY, 3 * i, 3 * i + 3);
    }
  }
  return { picture: { width, height, data: new Uint8Array(data.buffer) }, hole };
}

/** How many pixels the middle of column `x` lies inside of a picture that fills `scale` of `size`. */
function insideBy(x: number, size: number, scale: number): number {
  return (scale * size) / 2 - Math.abs(x + 0.5 - size / 2);
}

function paste(values: Float32Array, picture: Picture, scale: number, ratio: number, opacity: number): void {
  const { width, height } = picture;
  const small = scaled(picture, scale);
  // 0 where it fills the view, whole where it is one key frame smaller.
  const softness = Math.min(1, (1 - scale) / (1 - 1 / ratio));
  const across = edge(width, scale, softness);
  const down = edge(height, scale, softness);
  for (let y = 0; y < height; y++) {
    if (down[y] === 0) continue;
    for (let x = 0; x < width; x++) {
      const at = 3 * (y * width + x);
      const weight = opacity * Math.min(across[x]!, down[y]!);
      if (weight === 0) continue;
      for (let channel = at; channel < at + 3; channel++) {
        values[channel] = (1 - weight) * values[channel]! + weight * small[channel]!;
      }
    }
  }
}

/** How much of each column belongs to a picture in the middle: 1 inside, falling to 0 at its edge. */
function edge(size: number, scale: number, softness: number): Float32Array {
  const feather = softness * FEATHER * size * scale;
  return Float32Array.from({ length: size }, (_, x) => {
    const inside = insideBy(x, size, scale);
    if (feather <= 1) return Math.min(1, Math.max(0, inside + 0.5));
    const share = Math.min(1, Math.max(0, inside / feather));
    return share * share * (3 - 2 * share);
  });
}

/** Keys' cubic kernel of Catmull and Rom, which keeps straight lines straight. */
function kernel(distance: number): number {
  const d = Math.abs(distance);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/** What each new column is made of; the kernel is as wide as a pixel gets where the picture gets smaller. */
function tapsOf(size: number, scale: number): Taps[] {
  const width = Math.max(1, 1 / scale);
  return Array.from({ length: size }, (_, x) => {
    const center = (x + 0.5 - size / 2) / scale + size / 2 - 0.5;
    const first = Math.ceil(center - 2 * width);
    const count = Math.floor(center + 2 * width) - first + 1;
    const raw = Array.from({ length: count }, (_, k) => kernel((first + k - center) / width));
    const sum = raw.reduce((a, b) => a + b, 0);
    return { first, weights: raw.map((weight) => weight / sum) };
  });
}

/** The picture scaled about its middle at its own size, to sub-pixel places; edges go on beyond it. */
function scaled({ width, height, data }: Picture, scale: number): Float32Array {
  if (scale === 1) return Float32Array.from(data);
  const across = new Float32Array(data.length);
  for (const [x, { first, weights }] of tapsOf(width, scale).entries()) {
    for (const [k, weight] of weights.entries()) {
      const from = 3 * Math.min(width - 1, Math.max(0, first + k));
      for (let y = 0, at = 3 * x, line = from; y < height; y++, at += 3 * width, line += 3 * width) {
        across[at]! += weight * data[line]!;
        across[at + 1]! += weight * data[line + 1]!;
        across[at + 2]! += weight * data[line + 2]!;
      }
    }
  }
  const values = new Float32Array(data.length);
  const line = 3 * width;
  for (const [y, { first, weights }] of tapsOf(height, scale).entries()) {
    for (const [k, weight] of weights.entries()) {
      const from = line * Math.min(height - 1, Math.max(0, first + k));
      for (let i = 0, at = line * y; i < line; i++) values[at + i]! += weight * across[from + i]!;
    }
  }
  return values;
}
