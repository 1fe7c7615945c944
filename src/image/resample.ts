import { clamp } from "../base/mod.ts";
import type { Picture } from "./picture.ts";

/** One source pixel's part in a new one. */
interface Tap {
  readonly from: number;
  readonly weights: readonly number[];
}

/** Pillow's fixed point for 8-bit pictures: 22 bits behind the point. */
const PRECISION = 2 ** 22;

/** Keys' cubic with a = -0.5, as Pillow and the original pipelines resize pictures. */
function cubic(x: number): number {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

/** The taps of every new pixel of a line; the kernel is widened where the line gets shorter. */
function cubicTaps(from: number, to: number): Tap[] {
  const scale = from / to;
  const widening = Math.max(1, scale);
  const support = 2 * widening;
  return Array.from({ length: to }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(from, Math.trunc(center + support + 0.5));
    const raw = Array.from({ length: last - first }, (_, k) => cubic((first + k - center + 0.5) / widening));
    const sum = raw.reduce((total, weight) => total + weight, 0);
    return { from: first, weights: raw.map((weight) => Math.round((weight / sum) * PRECISION)) };
  });
}

/**
 * The picture at another size by the cubic kernel, with anti-aliasing, rounded to 8 bits after each of the two
 * directions: bit for bit what Pillow makes.
 */
export function resizeBicubic(picture: Picture, width: number, height: number): Picture {
  if (picture.width === width && picture.height === height) return picture;
  const across = new Uint8Array(3 * width * picture.height);
  cubicTaps(picture.width, width).forEach(({ from, weights }, x) => {
    for (let y = 0; y < picture.height; y++) {
      addTaps(picture.data, 3 * (y * picture.width + from), 3, weights, across, 3 * (y * width + x));
    }
  });
  const data = new Uint8Array(3 * width * height);
  cubicTaps(picture.height, height).forEach(({ from, weights }, y) => {
    for (let x = 0; x < width; x++) {
      addTaps(across, 3 * (from * width + x), 3 * width, weights, data, 3 * (y * width + x));
    }
  });
  return { width, height, data };
}

/** The three colours of one pixel from those `stride` bytes apart. */
function addTaps(
  source: Uint8Array,
  at: number,
  stride: number,
  weights: readonly number[],
  target: Uint8Array,
  to: number,
): void {
  for (let colour = 0; colour < 3; colour++) {
    let sum = PRECISION / 2;
    for (let k = 0; k < weights.length; k++) sum += weights[k]! * source[at + k * stride + colour]!;
    target[to + colour] = clamp(Math.floor(sum / PRECISION), 0, 255);
  }
}
