import { expect, test } from "vitest";
import type { TensorEntry } from "../checkpoint/mod.ts";
import { buildGraph, conv2d, type Graph, matmul } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { foldWeights } from "../passes/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { type Adapter, loraAdapter } from "./apply.ts";

const VALUES: Readonly<Record<string, Tensor<"float32">>> = {
  linear: float32([2, 3], [1, 2, 3, 4, 5, 6]),
  conv: float32([1, 2, 1, 2], [1, -1, 2, 0.5]),
  "lora:h:down": float32([1, 3], [1, 0, -1]),
  "lora:h:up": float32([2, 1], [2, 4]),
  "lora:h:kernel": float32([2, 2, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
  "lora:h:mix": float32([1, 2, 1, 1], [1, -2]),
};

const entry = (name: string): TensorEntry => {
  const { dtype, shape } = VALUES[`lora:h:${name}`]!;
  return { name, dtype, shape, file: "lora.safetensors", offset: 0, byteLength: 0 };
};

const LAYERS = [
  { target: "linear", down: entry("down"), up: entry("up"), rank: 1, scale: 0.5 },
  { target: "conv", down: entry("kernel"), up: entry("mix"), rank: 2, scale: 2 },
];

/** Both weights as the adapters leave them. */
const WEIGHTS = buildGraph((b) => ({
  linear: b.parameter("linear", [2, 3]),
  conv: b.parameter("conv", [1, 2, 1, 2]),
}));

function valuesOf(graph: Graph, adapters: readonly Adapter[]) {
  const changed = adapters.reduce((current, { pass }) => pass.run(current), graph);
  const results = interpret(changed, {}, (name) => VALUES[name]!);
  return [...results].map(([name, { data }]) => [name, Array.from(data, Number)]);
}

test("loraAdapter adds weight * scale * up * down to linear layers and convolutions", () => {
  expect(valuesOf(WEIGHTS, [loraAdapter("h", LAYERS, 0.5)])).toEqual([
    // 0.25 * [2, 4]^T [1, 0, -1], and 1 * ([1..4] - 2 * [5..8]).
    ["linear", [1.5, 2, 2.5, 5, 5, 5]],
    ["conv", [1 - 9, -1 - 10, 2 - 11, 0.5 - 12]],
  ]);
});

test("loraAdapter: several sum, opposite ones cancel, weight 0 leaves the very graph", () => {
  const half = loraAdapter("h", LAYERS, 0.5);
  expect(valuesOf(WEIGHTS, [half, half])).toEqual(valuesOf(WEIGHTS, [loraAdapter("h", LAYERS, 1)]));
  expect(valuesOf(WEIGHTS, [half, loraAdapter("h", LAYERS, -0.5)])).toEqual(valuesOf(WEIGHTS, []));
  expect(loraAdapter("h", LAYERS, 0).pass.run(WEIGHTS)).toBe(WEIGHTS);
});

test("loraAdapter changes weights alone: folded, the graph is the model's own", () => {
  const graph = buildGraph((b) => ({
    y: matmul(b.input("x", "float32", [1, 3]), b.parameter("linear", [2, 3]), { transposeB: true }),
    z: conv2d(b.input("m", "float32", [1, 2, 1, 2]), b.parameter("conv", [1, 2, 1, 2])),
  }));
  const folded = foldWeights(loraAdapter("h", LAYERS, 1).pass.run(graph));
  expect(folded.graph.nodes.map(({ op }) => op)).toEqual(graph.nodes.map(({ op }) => op));
  expect([...folded.derived.keys()].map((name) => name.split("#")[0])).toEqual(["linear", "conv"]);
  const other = foldWeights(loraAdapter("h", LAYERS, 0.9).pass.run(graph));
  expect([...other.derived.keys()]).not.toEqual([...folded.derived.keys()]);
});
