import { expect, test } from "vitest";
import { maskedDecibels, meanFill, seamSteps } from "./figures.ts";

/** Four by two: the left half 10, the right half 50, all colours alike; the hole is the third column. */
const grey = (...values: number[]) => ({
  width: 4,
  height: 2,
  data: Uint8Array.from([...values, ...values].flatMap((value) => [value, value, value])),
});
const original = grey(10, 10, 50, 50);
const hole = { width: 4, height: 2, data: Uint8Array.of(0, 0, 1, 0, 0, 0, 1, 0) };

test("maskedDecibels looks at the hole alone", () => {
  expect(maskedDecibels(original, original, hole)).toBe(100);
  expect(maskedDecibels(grey(0, 0, 45, 0), original, hole)).toBeCloseTo(10 * Math.log10(255 ** 2 / 25), 9);
});

test("meanFill takes the mean of what is kept", () => {
  expect(meanFill(original, hole)).toEqual(grey(10, 10, 23, 50));
});

test("seamSteps adds up steps over the border of the hole, to both sides", () => {
  // 40 on the left side of the hole and 0 on the right, three colours, two rows.
  expect(seamSteps(original, hole)).toBe(40 * 3 * 2);
  expect(seamSteps(grey(10, 10, 20, 50), hole)).toBe((10 + 30) * 3 * 2);
});
