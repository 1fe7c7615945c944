import type { Picture } from "../../src/image/mod.ts";
import type { Mask } from "../../src/masks/mod.ts";

/** What equal pictures get. */
const MOST_DECIBELS = 100;

/** Peak signal over noise within the hole, in dB, at most 100. */
export function maskedDecibels(seen: Picture, expected: Picture, hole: Mask): number {
  let [squares, count] = [0, 0];
  for (const [i, value] of seen.data.entries()) {
    if (hole.data[Math.floor(i / 3)] === 0) continue;
    squares += (value - expected.data[i]!) ** 2;
    count += 1;
  }
  return Math.min(MOST_DECIBELS, 10 * Math.log10((255 ** 2 * count) / squares));
}

/** The picture with the hole filled with the mean colour of what is kept: what costs nothing to draw. */
export function meanFill({ width, height, data }: Picture, hole: Mask): Picture {
  const sums = [0, 0, 0];
  let kept = 0;
  for (const [i, isHole] of hole.data.entries()) {
    if (isHole === 1) continue;
    kept += 1;
    for (let c = 0; c < 3; c++) sums[c]! += data[3 * i + c]!;
  }
  const mean = sums.map((sum) => Math.round(sum / kept));
  const filled = data.map((value, i) => (hole.data[Math.floor(i / 3)] === 1 ? mean[i % 3]! : value));
  return { width, height, data: filled };
}

/** The sum of the steps of grey, over all colours, from a pixel of the hole to one beside it that is kept. */
export function seamSteps({ width, height, data }: Picture, hole: Mask): number {
  let sum = 0;
  const step = (a: number, b: number) => {
    if (hole.data[a] === hole.data[b]) return;
    for (let c = 0; c < 3; c++) sum += Math.abs(data[3 * a + c]! - data[3 * b + c]!);
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (x + 1 < width) step(i, i + 1);
      if (y + 1 < height) step(i, i + width);
    }
  }
  return sum;
}
