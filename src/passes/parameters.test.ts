import { expect, test } from "vitest";
import { buildGraph, mul, printGraph } from "../graph/mod.ts";
import { feedParameters } from "./mod.ts";

test("feedParameters makes inputs of parameters, under their names", () => {
  const graph = buildGraph((builder) => ({
    y: mul(builder.parameter("w", [3]), builder.input("x", "float32", [3])),
  }));
  expect(printGraph(feedParameters.run(graph)).split("\n")).toEqual([
    "%0 = input w : float32[3]",
    "%1 = input x : float32[3]",
    "%2 = mul %0 %1 : float32[3]",
    "return y = %2",
  ]);
});
