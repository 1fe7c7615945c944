import { expect, test } from "vitest";
import { buildGraph, type Value } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { float32 } from "../tensor/mod.ts";
import {
  crossEntropy,
  mean,
  meanAbsolute,
  meanOfRows,
  squared,
  straightThrough,
  VQ_WEIGHTS,
  vqLoss,
} from "./mod.ts";

const a = float32([2, 2], [1, 2, 3, 6]);
const b = float32([2, 2], [0, 4, 3, 2]);

function value(define: (a: Value, b: Value) => Value): number[] {
  const graph = buildGraph((builder) => ({
    y: define(builder.input("a", "float32", [2, 2]), builder.input("b", "float32", [2, 2])),
  }));
  return [...interpret(graph, { a, b }, () => a).get("y")!.data] as number[];
}

test("losses are the formulas", () => {
  expect(value((x) => mean(x))).toEqual([3]);
  expect(value((x) => meanOfRows(x))).toEqual([1.5, 4.5]);
  expect(value(squared)).toEqual([1, 4, 0, 16]);
  expect(value(meanAbsolute)).toEqual([1.75]);
  expect(value(straightThrough)).toEqual([0, 4, 3, 2]);
  // Both parts have the value 5.25; derivatives are held to the golden data.
  expect(value((x, y) => vqLoss(x, y, VQ_WEIGHTS.legacy(0.25)))).toEqual([5.25 * 1.25]);
  expect(value((x, y) => vqLoss(x, y, VQ_WEIGHTS.fixed(0.25)))).toEqual([5.25 * 1.25]);
});

test("crossEntropy is the mean of minus the logarithm of the right share", () => {
  const graph = buildGraph((builder) => ({
    y: crossEntropy(builder.input("a", "float32", [2, 2]), builder.input("classes", "float32", [2, 1])),
  }));
  const classes = float32([2, 1], [0, 1]);
  const [loss] = interpret(graph, { a, classes }, () => a).get("y")!.data as Float32Array;
  const wanted = -(Math.log(1 / (1 + Math.exp(1))) + Math.log(1 / (1 + Math.exp(-3)))) / 2;
  expect(Math.abs(loss! - wanted), `${loss}, wanted ${wanted}`).toBeLessThan(1e-6);
});
