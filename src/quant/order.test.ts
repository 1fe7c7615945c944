import { expect, test } from "vitest";
import { product } from "../base/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { fromRows, gridOf, hasOrder, type RowOrder, toRows } from "./mod.ts";

function counted(shape: readonly number[]) {
  return float32(
    shape,
    Float32Array.from({ length: product(shape) }, (_, i) => i),
  );
}

const CASES: readonly (readonly [RowOrder, readonly number[], number, (k: number) => number])[] = [
  ["rows", [6, 32], 6, (k) => k],
  ["rows", [6, 32, 1, 1], 6, (k) => k],
  // k counts blocks of 16 channels, then taps, then channels.
  ["taps", [4, 32, 3, 3], 4, (k) => (16 * Math.floor(k / 144) + (k % 16)) * 9 + (Math.floor(k / 16) % 9)],
  ["transposed", [32, 5, 2, 2], 20, (k) => k * 20],
];

test.each(CASES)(
  "toRows in the order %s of %j puts values where they belong, fromRows back",
  (order, shape, rows, place) => {
    const weight = counted(shape);
    expect(hasOrder(order, shape)).toBe(true);
    const { groups, length } = gridOf(order, shape);
    expect([groups, length]).toEqual([rows, product(shape) / rows]);
    const values = toRows(order, weight);
    for (let k = 0; k < length; k++) expect(values[k]).toBe(place(k));
    expect(fromRows(order, shape, Float32Array.from(values))).toEqual(weight);
  },
);

test("hasOrder refuses shapes without such rows", () => {
  expect(hasOrder("taps", [8, 20, 3, 3])).toBe(false);
  expect(hasOrder("taps", [8, 32])).toBe(false);
  expect(hasOrder("transposed", [8, 32])).toBe(false);
  expect(hasOrder("rows", [8])).toBe(false);
});
