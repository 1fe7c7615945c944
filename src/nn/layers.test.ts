import { expect, test } from "vitest";
import { buildGraph, parametersOf, printGraph, type Value } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import {
  affineGroupNorm,
  affineLayerNorm,
  affineRmsNorm,
  channelLinear,
  conv,
  doubleMap,
  halveMap,
  linear,
  perChannel,
  Scope,
} from "./mod.ts";

/** A graph of one layer at the path "at" on an input of the shape. */
function layer(shape: readonly number[], define: (s: Scope, x: Value) => Value) {
  return buildGraph((builder) => ({
    y: define(new Scope(builder, "at"), builder.input("x", "float32", shape)),
  }));
}

test.each<[string, readonly number[], (s: Scope, x: Value) => Value, Record<string, number[]>, number[]]>([
  ["linear", [2, 5, 3], (s, x) => linear(s, x, 4), { weight: [4, 3], bias: [4] }, [2, 5, 4]],
  ["linear", [5, 3], (s, x) => linear(s, x, 4, { bias: false }), { weight: [4, 3] }, [5, 4]],
  ["conv", [1, 3, 5, 7], (s, x) => conv(s, x, 4, 3), { weight: [4, 3, 3, 3], bias: [4] }, [1, 4, 5, 7]],
  ["conv", [1, 3, 5, 7], (s, x) => conv(s, x, 4, 1, { bias: false }), { weight: [4, 3, 1, 1] }, [1, 4, 5, 7]],
  [
    "channelLinear",
    [1, 3, 5, 7],
    (s, x) => channelLinear(s, x, 4),
    { weight: [4, 3], bias: [4] },
    [1, 4, 5, 7],
  ],
  ["doubleMap", [1, 3, 5, 7], doubleMap, { weight: [3, 3, 2, 2], bias: [3] }, [1, 3, 10, 14]],
  ["halveMap", [1, 3, 4, 6], halveMap, { weight: [3, 3, 2, 2], bias: [3] }, [1, 3, 2, 3]],
  [
    "affineGroupNorm",
    [2, 6, 3, 4],
    (s, x) => affineGroupNorm(s, x, 3, 1e-5),
    { weight: [6], bias: [6] },
    [2, 6, 3, 4],
  ],
  ["affineLayerNorm", [2, 5], (s, x) => affineLayerNorm(s, x, 1e-5), { weight: [5], bias: [5] }, [2, 5]],
  ["affineRmsNorm", [2, 5], (s, x) => affineRmsNorm(s, x, 1e-6), { weight: [5] }, [2, 5]],
])("%s of %j has its weights as stored and its result's shape", (_, shape, define, weights, result) => {
  const graph = layer(shape, define);
  const named = Object.fromEntries(parametersOf(graph).map((p) => [p.name, p.shape]));
  const wanted = Object.fromEntries(Object.entries(weights).map(([name, size]) => [`at.${name}`, size]));
  expect(named).toEqual(wanted);
  expect(graph.nodes[graph.outputs.get("y")!]!.shape).toEqual(result);
});

test("channelLinear is the linear layer of every cell", () => {
  const weights: Record<string, Tensor> = {
    "at.weight": float32([2, 3], [1, 2, 3, -1, 0, 1]),
    "at.bias": float32([2], [10, 20]),
  };
  const x = float32([1, 3, 1, 2], [1, 2, 3, 4, 5, 6]);
  const graph = layer(x.shape, (s, value) => channelLinear(s, value, 2));
  const y = interpret(graph, { x }, (name) => weights[name]!).get("y");
  // Cells (1,3,5) and (2,4,6).
  expect(y).toEqual(float32([1, 2, 1, 2], [32, 38, 24, 24]));
});

test("affineGroupNorm scales and shifts each channel", () => {
  const weights: Record<string, Tensor> = {
    "at.weight": float32([2], [1, 10]),
    "at.bias": float32([2], [0, 5]),
  };
  const x = float32([1, 2, 1, 2], [3, 5, -1, 1]);
  const graph = layer(x.shape, (s, value) => affineGroupNorm(s, value, 2, 0));
  const y = interpret(graph, { x }, (name) => weights[name]!).get("y");
  expect(y).toEqual(float32([1, 2, 1, 2], [-1, 1, -5, 15]));
});

test("perChannel makes numbers a map of one cell", () => {
  const graph = layer([5], (_, x) => perChannel(x));
  expect(graph.nodes[graph.outputs.get("y")!]!.shape).toEqual([1, 5, 1, 1]);
});

test("Scope names weights and taps by their path, and the root's without one", () => {
  const graph = buildGraph((builder) => {
    const root = new Scope(builder);
    const deep = root.at("down_blocks").at(0).at("conv");
    const y = deep.tap(linear(deep, builder.input("x", "float32", [1, 2]), 2, { bias: false }));
    return { y, z: root.parameter("weight", [1]) };
  });
  expect([...graph.taps]).toEqual([["down_blocks.0.conv", graph.outputs.get("y")]]);
  expect(printGraph(graph)).toContain("parameter down_blocks.0.conv.weight : float32[2,2]");
  expect(printGraph(graph)).toContain("parameter weight : float32[1]");
});
