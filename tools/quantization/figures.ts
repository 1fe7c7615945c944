import type { Tensor } from "../../src/tensor/mod.ts";

/** Peak signal over noise of 8-bit pictures, in dB; Infinity where they are equal. */
export function decibels(seen: Uint8Array, expected: Uint8Array): number {
  const power = seen.reduce((sum, value, i) => sum + (value - expected[i]!) ** 2, 0) / seen.length;
  return 10 * Math.log10(255 ** 2 / power);
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** Cosine between rows of the last axis, averaged over rows. */
export function meanCosine(seen: Tensor<"float32">, expected: Tensor<"float32">): number {
  const width = expected.shape.at(-1)!;
  const count = expected.data.length / width;
  let sum = 0;
  for (let row = 0; row < count; row++) {
    let [dot, a, b] = [0, 0, 0];
    for (let i = row * width; i < (row + 1) * width; i++) {
      const [x, y] = [seen.data[i]!, expected.data[i]!];
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    sum += dot / Math.sqrt(a * b);
  }
  return sum / count;
}
