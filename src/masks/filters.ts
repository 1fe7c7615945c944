import type { Size } from "./spec.ts";

/** All pixels within `radius` of one that is set, by centres. */
export function grown(data: Uint8Array, { width, height }: Size, radius: number): Uint8Array {
  if (radius <= 0) return data;
  // Distance along the row first; a pixel is near if in some row of its column the two distances add up to it.
  const along = rowDistances(data, width, radius + 1);
  const result = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    const [from, to] = [Math.max(y - radius, 0), Math.min(y + radius, height - 1)];
    for (let x = 0; x < width; x++) {
      for (let other = from; other <= to; other++) {
        const [dx, dy] = [along[other * width + x]!, other - y];
        if (dx * dx + dy * dy > radius * radius) continue;
        result[y * width + x] = 1;
        break;
      }
    }
  }
  return result;
}

/** Pixels to the nearest set one of the same row, at most `limit`. */
function rowDistances(data: Uint8Array, width: number, limit: number): Uint16Array {
  const distances = new Uint16Array(data.length).fill(limit);
  for (let row = 0; row < data.length; row += width) {
    let last = limit;
    for (let x = 0; x < width; x++) {
      last = data[row + x] === 1 ? 0 : Math.min(last + 1, limit);
      distances[row + x] = last;
    }
    last = limit;
    for (let x = width - 1; x >= 0; x--) {
      last = data[row + x] === 1 ? 0 : Math.min(last + 1, limit);
      distances[row + x] = Math.min(distances[row + x]!, last);
    }
  }
  return distances;
}

/** Gaussian of deviation `sigma` pixels, cut at 3 sigma; beyond the border the border's pixels go on. */
export function blurred(data: Uint8Array, { width, height }: Size, sigma: number): ArrayLike<number> {
  if (sigma <= 0) return data;
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const kernel = weights.map((weight) => weight / total);
  const rows = convolved(Float64Array.from(data), kernel, width, height, 1, width);
  return convolved(rows, kernel, height, width, width, 1);
}

/** A convolution along lines of `length` values `step` apart; lines begin `next` apart. */
function convolved(
  values: Float64Array,
  kernel: readonly number[],
  length: number,
  lines: number,
  step: number,
  next: number,
): Float64Array {
  const reach = (kernel.length - 1) / 2;
  const result = new Float64Array(values.length);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) {
        const at = Math.min(Math.max(i + k - reach, 0), length - 1);
        sum += kernel[k]! * values[line * next + at * step]!;
      }
      result[line * next + i * step] = sum;
    }
  }
  return result;
}
