import { expect, test } from "vitest";
import { add, buildGraph, mul, nodesOf, sin } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { float32, zeros } from "../tensor/mod.ts";
import { foldConstants } from "./mod.ts";

const noWeights = (name: string) => {
  throw new Error(`no weight ${name}`);
};

test("foldConstants leaves one constant of an expression of constants, with the same value", () => {
  const graph = buildGraph((builder) => {
    const [a, b] = [
      [1, 2, 3],
      [4, 5, 6],
    ].map((values) => builder.constant(float32([3], values)));
    return { y: mul(sin(add(a!, b!)), builder.input("x", "float32", [2, 3])) };
  });
  const folded = foldConstants.run(graph);
  expect([nodesOf(folded, "constant").length, nodesOf(folded, "sin").length]).toEqual([1, 0]);
  const feeds = { x: float32([2, 3], [1, 1, 1, 2, 2, 2]) };
  const [before, after] = [graph, folded].map((one) => interpret(one, feeds, noWeights).get("y")!.data);
  before!.forEach((value, i) => {
    expect(after![i]).toBeCloseTo(Number(value), 6);
  });
});

test("foldConstants keeps large values as operations", () => {
  const graph = buildGraph((builder) => {
    const large = builder.constant(zeros("float32", [256, 257]));
    return { y: add(large, large) };
  });
  expect(nodesOf(foldConstants.run(graph), "add").length).toBe(1);
});
