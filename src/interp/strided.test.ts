import { expect, test } from "vitest";
import { product } from "../base/mod.ts";
import { broadcastStrides, copyView } from "./strided.ts";

/** The definition, element by element. */
function slowCopy(source: Float64Array, start: number, shape: readonly number[], strides: readonly number[]) {
  return Float64Array.from({ length: product(shape) }, (_, i) => {
    let rest = i;
    let at = start;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % shape[axis]!) * strides[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return source[at]!;
  });
}

test.each([
  ["a single element", [], [], 3],
  ["all of it", [100, 70], [70, 1], 0],
  ["a transpose larger than a tile", [70, 100], [1, 70], 0],
  ["channels last", [2, 10, 9, 35], [3150, 9, 1, 90], 0],
  ["short rows with a step", [40, 5], [70, 2], 1],
  ["long rows out of longer ones", [40, 50], [70, 1], 7],
  ["repeated rows and columns", [3, 4, 5, 6], [5, 0, 1, 0], 2],
  ["blocks", [5, 4, 35, 10], [1400, 350, 1, 35], 0],
  ["axes of one element", [1, 7, 1, 3], [999, 3, 5, 1], 0],
  ["nothing", [3, 0, 2], [2, 2, 1], 0],
])("copyView copies %s", (_, shape, strides, start) => {
  const source = Float64Array.from({ length: 7000 }, (_, i) => i);
  expect(copyView(source, start, shape, strides)).toEqual(slowCopy(source, start, shape, strides));
});

test("broadcastStrides repeats axes of one element and missing leading axes", () => {
  expect(broadcastStrides([3, 1, 4], [2, 3, 5, 4])).toEqual([0, 4, 0, 1]);
  expect(broadcastStrides([], [2, 3])).toEqual([0, 0]);
  expect(broadcastStrides([1], [2, 3])).toEqual([0, 0]);
});
