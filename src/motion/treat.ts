import type { Picture } from "../image/mod.ts";
import { type Key, normal } from "../random/mod.ts";
import { BORDERS } from "./warp.ts";

/** What is done to a warped frame before the model draws on it. */
export interface Treatment {
  /** Factor of all values; 1 leaves them. */
  readonly contrast: number;
  /** Unsharp mask: out = (1 + amount) picture - amount blur, where the two differ by at least `threshold` of 255. */
  readonly amount: number;
  /** Side of the blur in pixels, odd. */
  readonly kernel: number;
  readonly sigma: number;
  readonly threshold: number;
  /** Standard deviation of what is added, where the values go from -1 to 1. */
  readonly noise: number;
}

/** Contrast, then unsharp mask, then noise of the key (Deforum, animation.md section 4, steps 5 to 7). */
export function treatPicture(picture: Picture, treatment: Treatment, key: Key): Picture {
  const { contrast, amount, noise } = treatment;
  if (contrast === 1 && amount === 0 && noise === 0) return picture;
  const values = Float32Array.from(picture.data, (value) => value * contrast);
  if (amount !== 0) sharpen(values, picture, treatment);
  const data = new Uint8ClampedArray(values);
  if (noise > 0) {
    const { data: added } = normal(key, [values.length]);
    for (let i = 0; i < data.length; i++) data[i] = clip(values[i]!) + 127.5 * noise * added[i]!;
  }
  return { ...picture, data: new Uint8Array(data.buffer) };
}

function clip(value: number): number {
  return Math.min(255, Math.max(0, value));
}

function sharpen(values: Float32Array, size: Picture, { amount, kernel, sigma, threshold }: Treatment): void {
  const blurred = gaussianBlur(values, size, kernel, sigma);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const difference = value - blurred[i]!;
    if (threshold > 0 && Math.abs(difference) < threshold) continue;
    values[i] = clip(value + amount * difference);
  }
}

/** Gaussian of that odd side, mirrored at the edges without doubling them, as OpenCV's `GaussianBlur`. */
function gaussianBlur(
  values: Float32Array,
  { width, height }: Pick<Picture, "width" | "height">,
  kernel: number,
  sigma: number,
): Float32Array {
  const radius = (kernel - 1) / 2;
  const raw = Array.from({ length: kernel }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
  const sum = raw.reduce((a, b) => a + b, 0);
  const weights = raw.map((weight) => weight / sum);
  const across = blurLines(values, weights, width, height, 3, 3 * width);
  return blurLines(across, weights, height, width, 3 * width, 3);
}

/** Blurs `count` lines of `length` pixels; neighbours lie `step` apart, lines `jump`. */
function blurLines(
  values: Float32Array,
  weights: readonly number[],
  length: number,
  count: number,
  step: number,
  jump: number,
): Float32Array {
  const radius = (weights.length - 1) / 2;
  const output = new Float32Array(values.length);
  for (let i = 0; i < length; i++) {
    const from = weights.map((_, k) => step * BORDERS.reflect(i - radius + k, length));
    for (let line = 0; line < count; line++) {
      const at = line * jump;
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * values[at + from[k]! + channel]!;
        output[at + i * step + channel] = sum;
      }
    }
  }
  return output;
}
