import { expect, test } from "vitest";
import { add, buildGraph, embed, mul, printGraph } from "./mod.ts";
import { failure } from "./test-support.ts";

const inner = buildGraph((builder) => {
  const sum = add(builder.input("x", "float32", [2]), builder.parameter("w", [2]));
  builder.tap("sum", sum);
  return { y: mul(sum, sum) };
});

test("embed copies a graph with values in the place of its inputs, taps and results included", () => {
  const graph = buildGraph((builder) => {
    const w = builder.parameter("w", [2]);
    const { y } = embed(builder, inner, { x: mul(w, w) });
    return { result: y! };
  });
  expect(printGraph(graph).split("\n")).toEqual([
    "%0 = parameter w : float32[2]",
    "%1 = mul %0 %0 : float32[2]",
    "%2 = add %1 %0 : float32[2]  # sum",
    "%3 = mul %2 %2 : float32[2]",
    "return result = %3",
  ]);
});

test("embed keeps the inputs that no value is given for", () => {
  const graph = buildGraph((builder) => ({ y: embed(builder, inner)["y"]! }));
  expect(printGraph(graph)).toBe(printGraph(inner));
});

test("embed refuses values that fit no input", () => {
  const embedded = (name: string, size: number) =>
    buildGraph((builder) => embed(builder, inner, { [name]: builder.input("v", "float32", [size]) }));
  expect(failure(() => embedded("x", 3)).message).toBe(
    "cannot embed a graph: input x: seen float32[3], wanted float32[2]",
  );
  expect(failure(() => embedded("z", 2)).message).toBe(
    "cannot embed a graph: seen values for z, wanted its inputs",
  );
});
