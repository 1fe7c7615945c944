import { expect, test } from "vitest";
import {
  add,
  buildGraph,
  conv2d,
  type Graph,
  groupNorm,
  nodesOf,
  type Padding,
  resizeNearest,
  silu,
  type Value,
} from "../graph/mod.ts";
import { movqDecoderGraph } from "../models/mod.ts";
import { blockedLayout, type Pass, runPasses, stripeMaps } from "./mod.ts";
import { evaluate, SMALL_MOVQ, worstDifference } from "./test-support.ts";

/** Rows of the smallest map of the graphs here. */
const UNIT_ROWS = 6;

function onMap(define: (x: Value) => Value): Graph {
  return buildGraph((builder) => ({ y: define(builder.input("x", "float32", [2, 4, 12, 5])) }));
}

function convolve(x: Value, name: string, size: readonly [number, number], padding: Padding): Value {
  const weight = x.builder.parameter(`${name}.weight`, [4, 4, ...size]);
  return conv2d(x, weight, x.builder.parameter(`${name}.bias`, [4]), { padding });
}

/** Highest map, in rows, that a node of these operations makes. */
function highest(graph: Graph, ops: readonly string[]): number {
  return Math.max(...graph.nodes.filter(({ op }) => ops.includes(op)).map(({ shape }) => shape[2]!));
}

function differs(graph: Graph, ...passes: readonly Pass[]): number {
  return worstDifference(evaluate(runPasses(graph, passes)), evaluate(graph));
}

/** Bytes of a map of the graphs here. */
const MAP_BYTES = 2 * 4 * 12 * 5 * 4;

test.each<[string, readonly [number, number], Padding]>([
  ["1x1", [1, 1], [0, 0, 0, 0]],
  ["3x3", [3, 3], [1, 1, 1, 1]],
  ["5x3", [5, 3], [2, 1, 2, 1]],
  ["2x2 padded below", [2, 2], [0, 0, 1, 1]],
])("stripeMaps of two %s convolutions computes the same, a stripe at a time", (_, size, padding) => {
  const graph = onMap((x) => convolve(silu(convolve(x, "a", size, padding)), "b", size, padding));
  for (const parts of [2, 3, 6, 100]) {
    const pass = stripeMaps(MAP_BYTES / parts, UNIT_ROWS);
    expect(differs(graph, pass), `${parts} parts`).toBeLessThanOrEqual(1e-13);
    const rows = 12 / Math.min(parts, UNIT_ROWS);
    expect(highest(runPasses(graph, [pass]), ["conv2d", "silu"])).toBe(rows);
  }
});

test("stripeMaps leaves maps alone that are small enough", () => {
  const graph = onMap((x) => silu(convolve(x, "a", [3, 3], [1, 1, 1, 1])));
  expect(runPasses(graph, [stripeMaps(MAP_BYTES, UNIT_ROWS)])).toEqual(graph);
});

test("stripeMaps leaves convolutions alone that halve a map", () => {
  const graph = onMap((x) => conv2d(x, x.builder.parameter("w", [4, 4, 2, 2]), undefined, { stride: 2 }));
  expect(runPasses(graph, [stripeMaps(1, UNIT_ROWS)])).toEqual(graph);
});

test.each([
  [3, 3, [1, 1, 1, 1]],
  [1, 1, [0, 0, 0, 0]],
  [3, 1, [1, 0, 1, 0]],
  [5, 5, [1, 1, 1, 1]],
] as const)("stripeMaps of a doubled map and a %ix%i convolution computes the same", (kh, kw, padding) => {
  const graph = onMap((x) =>
    silu(convolve(resizeNearest(convolve(x, "a", [3, 3], [1, 1, 1, 1]), 2), "b", [kh, kw], padding)),
  );
  for (const parts of [2, 3, 6]) {
    expect(differs(graph, stripeMaps(MAP_BYTES / parts, UNIT_ROWS))).toBeLessThanOrEqual(1e-13);
  }
});

test("stripeMaps: a norm takes the moments of the whole map, and its own rows of scale and shift", () => {
  for (const cells of [
    [1, 4, 1, 1],
    [2, 4, 6, 5],
  ]) {
    const graph = onMap((x) => {
      const y = convolve(x, "a", [3, 3], [1, 1, 1, 1]);
      const [scale, shift] = ["scale", "shift"].map((name) => x.builder.parameter(name, cells));
      return add(groupNorm(y, scale!, shift!, { groups: 2, epsilon: 1e-5 }), y);
    });
    const pass = stripeMaps(MAP_BYTES / 2, UNIT_ROWS);
    expect(differs(graph, pass)).toBeLessThanOrEqual(1e-12);
    expect(highest(runPasses(graph, [pass]), ["conv2d", "groupNorm"])).toBe(6);
    // A stripe's share of the map is a float32 constant, and a third is not exact.
    expect(differs(graph, stripeMaps(MAP_BYTES / 3, UNIT_ROWS))).toBeLessThanOrEqual(1e-7);
  }
});

test.each([8, 16])("stripeMaps before blocks of %i of the MoVQ decoder computes the same", (block) => {
  const graph = movqDecoderGraph(SMALL_MOVQ, { batch: 1, height: 8, width: 4 });
  const whole = 32 * 32 * 16 * 4;
  const passes = [stripeMaps(whole / 4, 8), blockedLayout(block)];
  const difference = differs(graph, ...passes);
  expect(difference, `worst relative difference ${difference}`).toBeLessThanOrEqual(1e-9);
  const striped = runPasses(graph, passes);
  expect(highest(striped, ["blockedGroupNorm", "silu"])).toBeLessThan(32);
  expect(nodesOf(striped, "blockedGroupMoments").length).toBeGreaterThan(0);
});
