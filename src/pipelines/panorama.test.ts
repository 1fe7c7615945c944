import { expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { Kandinsky3 } from "./mod.ts";
import { coverMap } from "./windows.ts";

const WINDOW = 64;
const WIDTH = 1024;
const LIMIT = 1.2;

/** Mean difference of every column and the one to its left; the first's is the last. */
function stepsOf({ width, height, data }: Picture): number[] {
  return Array.from({ length: width }, (_, x) => {
    let sum = 0;
    for (let y = 0; y < height; y++) {
      for (let c = 0; c < 3; c++) {
        const at = (column: number) => data[3 * (y * width + column) + c]!;
        sum += Math.abs(at(x) - at((x + width - 1) % width));
      }
    }
    return sum / (3 * height);
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Deviation of the values of a window, black to white being 1. */
function deviation({ width, data }: Picture, from: number): number {
  const values: number[] = [];
  for (let y = 0; y < WINDOW; y++) {
    for (let u = 0; u < WINDOW; u++) {
      const at = 3 * (y * width + ((from + u) % width));
      values.push(...Array.from(data.subarray(at, at + 3), (value) => value / 255));
    }
  }
  const average = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - average) ** 2)));
}

test("Kandinsky3.generate panorama: 1024 pixels around, no step at windows or the wrap above 1.2 of the others", {
  timeout: 300_000,
}, async () => {
  await using model = await Kandinsky3.load({ threads: 1 });
  const windows = coverMap(
    { width: WIDTH, height: WINDOW },
    { width: WINDOW, height: WINDOW, overlap: 0.5, wrap: true },
  );
  const borders = new Set(windows.flatMap(({ x }) => [x, (x + WINDOW) % WIDTH]));
  const request = { operation: "panorama", width: WIDTH, height: WINDOW, wrap: true, steps: 12 } as const;
  for (const [seed, prompt] of ["pandas on a pink background", "red apples on a blue background"].entries()) {
    for await (const event of model.generate({ ...request, prompt, seed })) {
      if (event.type !== "picture") continue;
      const steps = stepsOf(event.picture);
      const inner = mean(steps.filter((_, x) => !borders.has(x)));
      const seams = mean(steps.filter((_, x) => borders.has(x))) / inner;
      expect(seams, `${prompt}: seams ${seams} times the interior`).toBeLessThan(LIMIT);
      const wrap = steps[0]! / inner;
      expect(wrap, `${prompt}: wrap ${wrap} times the interior`).toBeLessThan(LIMIT);
      const plainest = Math.min(...windows.map(({ x }) => deviation(event.picture, x)));
      expect(plainest, `${prompt}: plainest window`).toBeGreaterThan(0.1);
    }
  }
});
