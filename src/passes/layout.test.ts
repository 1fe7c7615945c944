import { expect, test } from "vitest";
import {
  add,
  attention,
  buildGraph,
  census,
  concat,
  conv2d,
  convTranspose2d,
  type Graph,
  type GraphBuilder,
  matmul,
  nodesOf,
  type Padding,
  reshape,
  resizeNearest,
  silu,
  slice,
  type Value,
} from "../graph/mod.ts";
import { movqDecoderGraph, movqEncoderGraph, t5Graph, unetGraph } from "../models/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { blockedLayout, runPasses } from "./mod.ts";
import { evaluate, SMALL_MOVQ, SMALL_T5, SMALL_UNET, worstDifference } from "./test-support.ts";

/** Both sides compute in float64; only the order of some sums differs. */
const TOLERANCE = 1e-9;

const GRAPHS: Readonly<Record<string, () => Graph>> = {
  "U-Net": () => unetGraph(SMALL_UNET, { batch: 2, height: 8, width: 16, contextLength: 5, steps: 2 }),
  "U-Net of three levels": () =>
    unetGraph(
      { ...SMALL_UNET, blockOutChannels: [32, 32, 64] },
      { batch: 1, height: 12, width: 4, contextLength: 18, steps: 1 },
    ),
  "MoVQ decoder": () => movqDecoderGraph(SMALL_MOVQ, { batch: 2, height: 4, width: 6 }),
  "MoVQ encoder": () => movqEncoderGraph(SMALL_MOVQ, { batch: 2, height: 12, width: 20 }),
  T5: () => t5Graph(SMALL_T5, 2, 7, { from: 0, to: 2 }),
  "second half of T5": () => t5Graph(SMALL_T5, 1, 20, { from: 1, to: 2 }),
};

/** What each graph computes as it was built. */
const EXPECTED = new Map<string, ReadonlyMap<string, Tensor>>();

function layOut(graph: Graph, block: number): Graph {
  return runPasses(graph, [blockedLayout(block)]);
}

/** One map in, one out. */
function onMap(shape: readonly number[], define: (x: Value, builder: GraphBuilder) => Value): Graph {
  return buildGraph((builder) => ({ y: define(builder.input("x", "float32", shape), builder) }));
}

/** How often each operation named occurs. */
function counts(graph: Graph, ...ops: readonly string[]): number[] {
  const all = census(graph);
  return ops.map((op) => all[op] ?? 0);
}

test.each(Object.keys(GRAPHS).flatMap((name) => [8, 16].map((block) => [name, block] as const)))(
  "blockedLayout of the %s in blocks of %i computes the same",
  (name, block) => {
    const graph = GRAPHS[name]!();
    const laidOut = layOut(graph, block);
    const expected = EXPECTED.get(name) ?? evaluate(graph);
    EXPECTED.set(name, expected);
    const difference = worstDifference(evaluate(laidOut), expected);
    expect(difference, `worst relative difference ${difference}`).toBeLessThanOrEqual(TOLERANCE);
    for (const node of laidOut.nodes) {
      const sources = node.inputs.map((id) => laidOut.nodes[id]!.op);
      if (node.op === "toBlocked") expect(sources).not.toContain("fromBlocked");
      if (node.op === "fromBlocked") expect(sources).not.toContain("toBlocked");
    }
  },
);

test("blockedLayout leaves of the U-Net's maps only the first convolution and the last norm plain", () => {
  const graph = GRAPHS["U-Net"]!();
  expect(census(graph)).toEqual({
    add: 399,
    attention: 19,
    concat: 4,
    constant: 165,
    conv2d: 227,
    convTranspose2d: 6,
    cos: 1,
    gather: 328,
    groupNorm: 165,
    input: 6,
    matmul: 195,
    mul: 1,
    parameter: 744,
    reshape: 428,
    silu: 149,
    sin: 1,
    slice: 328,
  });
  expect(census(layOut(graph, 16))).toEqual({
    add: 331,
    attention: 19,
    blockedConv2d: 426,
    blockedGroupNorm: 164,
    blockedToTokens: 212,
    concat: 12,
    constant: 203,
    conv2d: 1,
    cos: 1,
    fromBlocked: 13,
    gather: 328,
    groupNorm: 1,
    input: 6,
    matmul: 1,
    mul: 1,
    parameter: 744,
    reshape: 1668,
    silu: 149,
    sin: 1,
    slice: 328,
    toBlocked: 14,
    tokensToBlocked: 12,
    transpose: 462,
  });
});

test("blockedLayout of the MoVQ decoder turns each doubling into four convolutions of 2x2", () => {
  const graph = GRAPHS["MoVQ decoder"]!();
  const laidOut = layOut(graph, 16);
  expect(counts(graph, "resizeNearest", "conv2d")).toEqual([2, 74]);
  expect(counts(laidOut, "resizeNearest", "blockedConv2d")).toEqual([0, 38]);
});

test("blockedLayout of T5 makes its linear layers convolutions", () => {
  const graph = GRAPHS["T5"]!();
  expect(counts(graph, "matmul")).toEqual([2 * 7]);
  expect(counts(layOut(graph, 16), "matmul", "blockedConv2d")).toEqual([0, 2 * 7]);
});

test.each([
  ["short sequences share a map", [3, 5, 16], 32, [1, 15, 16]],
  ["long sequences have a row each", [3, 16, 16], 32, [3, 16, 16]],
  ["axes before the last two are joined", [2, 3, 17, 16], 32, [6, 17, 16]],
  ["one axis of rows", [4, 16], 32, [1, 4, 16]],
] as const)("blockedLayout makes linear layers convolutions of one row: %s", (_, shape, out, tokens) => {
  const graph = onMap(shape, (x, builder) =>
    matmul(x, builder.parameter("weight", [out, 16]), { transposeB: true }),
  );
  const laidOut = layOut(graph, 16);
  expect(worstDifference(evaluate(laidOut), evaluate(graph))).toBeLessThanOrEqual(1e-13);
  const maps = nodesOf(laidOut, "tokensToBlocked");
  expect(maps.map(({ inputs }) => laidOut.nodes[inputs[0]!]!.shape)).toEqual([tokens]);
});

test("blockedLayout leaves products plain of odd channels, of no weight, and of a weight as it lies", () => {
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [2, 16]);
    return {
      odd: matmul(x, builder.parameter("odd", [20, 16]), { transposeB: true }),
      noWeight: matmul(x, x, { transposeB: true }),
      asItLies: matmul(x, builder.parameter("wide", [16, 32])),
    };
  });
  expect(layOut(graph, 16)).toEqual(graph);
});

test.each([
  ["16 to 16 channels", 16, [1, 1, 1, 1], 1, true],
  ["16 to 48 channels", 48, [1, 1, 1, 1], 1, true],
  ["channels that are no blocks", 20, [1, 1, 1, 1], 1, false],
  ["no padding", 16, [0, 0, 0, 0], 1, false],
  ["a stride", 16, [1, 1, 1, 1], 2, false],
] as const)(
  "blockedLayout doubles by nearest neighbour and 3x3 in phases only where it is that: %s",
  (_, out, padding, stride, inPhases) => {
    for (const bias of [true, false]) {
      const graph = onMap([2, 16, 3, 5], (x, builder) => {
        const weight = builder.parameter("weight", [out, 16, 3, 3]);
        const biases = bias ? builder.parameter("bias", [out]) : undefined;
        return conv2d(resizeNearest(x, 2), weight, biases, { padding: padding as Padding, stride });
      });
      const laidOut = layOut(graph, 16);
      expect(worstDifference(evaluate(laidOut), evaluate(graph))).toBeLessThanOrEqual(1e-13);
      const expected = inPhases ? [0, 4] : [1, 1];
      expect(counts(laidOut, "resizeNearest", "blockedConv2d")).toEqual(expected);
    }
  },
);

test.each([1, 2, 3])("blockedLayout makes a transposed convolution of side %i a 1x1 one", (factor) => {
  for (const bias of [true, false]) {
    const graph = onMap([2, 16, 3, 5], (x, builder) => {
      const weight = builder.parameter("weight", [16, 32, factor, factor]);
      return convTranspose2d(x, weight, bias ? builder.parameter("bias", [32]) : undefined);
    });
    const laidOut = layOut(graph, 8);
    expect(worstDifference(evaluate(laidOut), evaluate(graph))).toBeLessThanOrEqual(1e-13);
    expect(counts(laidOut, "convTranspose2d", "blockedConv2d")).toEqual([0, 1]);
  }
});

test("blockedLayout leaves convolutions plain whose input channels are no blocks", () => {
  const graph = onMap([1, 12, 4, 3], (x, builder) => {
    const y = conv2d(x, builder.parameter("a", [12, 12, 3, 3]), undefined, { padding: [1, 1, 1, 1] });
    return convTranspose2d(silu(y), builder.parameter("b", [12, 8, 2, 2]));
  });
  expect(layOut(graph, 8)).toEqual(graph);
});

test("blockedLayout pads the channels of a result that are no blocks, and drops them again", () => {
  const graph = onMap([2, 16, 4, 3], (x, builder) => {
    const y = conv2d(x, builder.parameter("a", [5, 16, 3, 3]), builder.parameter("b", [5]));
    return conv2d(silu(y), builder.parameter("c", [16, 5, 1, 1]));
  });
  const laidOut = layOut(graph, 16);
  expect(worstDifference(evaluate(laidOut), evaluate(graph))).toBeLessThanOrEqual(1e-13);
  expect(counts(laidOut, "blockedConv2d", "conv2d", "toBlocked", "fromBlocked")).toEqual([1, 1, 1, 1]);
});

test("blockedLayout gives a residual sum to the convolution that is only used there", () => {
  const pointwise = (x: Value, name: string) => conv2d(x, x.builder.parameter(name, [16, 16, 1, 1]));
  const once = onMap([2, 16, 4, 3], (x) => add(silu(x), pointwise(silu(x), "a")));
  const laidOut = layOut(once, 16);
  expect(counts(laidOut, "blockedConv2d", "add")).toEqual([1, 0]);
  expect(worstDifference(evaluate(laidOut), evaluate(once))).toBeLessThanOrEqual(1e-13);

  const twice = onMap([2, 16, 4, 3], (x) => {
    const y = pointwise(x, "a");
    return add(silu(y), y);
  });
  expect(counts(layOut(twice, 16), "blockedConv2d", "add")).toEqual([1, 1]);
  expect(worstDifference(evaluate(layOut(twice, 16)), evaluate(twice))).toBeLessThanOrEqual(1e-13);

  const both = onMap([2, 16, 4, 3], (x) => add(pointwise(x, "a"), pointwise(x, "b")));
  expect(counts(layOut(both, 16), "blockedConv2d", "add")).toEqual([2, 0]);
  expect(worstDifference(evaluate(layOut(both, 16)), evaluate(both))).toBeLessThanOrEqual(1e-13);
});

test("blockedLayout keeps a sum that broadcasts plain", () => {
  const graph = onMap([2, 16, 4, 3], (x, builder) => {
    const y = conv2d(x, builder.parameter("a", [16, 16, 1, 1]));
    return add(y, builder.parameter("row", [1, 16, 1, 1]));
  });
  const laidOut = layOut(graph, 16);
  expect(counts(laidOut, "add", "fromBlocked")).toEqual([1, 1]);
  expect(worstDifference(evaluate(laidOut), evaluate(graph))).toBeLessThanOrEqual(1e-13);
});

test("blockedLayout joins and cuts maps in blocks along channels and rows only", () => {
  const joined = (axis: number) =>
    onMap([2, 16, 4, 3], (x, builder) => {
      const [a, b] = ["a", "b"].map((name) => conv2d(x, builder.parameter(name, [16, 16, 1, 1])));
      return concat([a!, b!, a!], axis);
    });
  const cut = (axis: number, step: number) =>
    onMap([2, 16, 7, 6], (x, builder) =>
      silu(slice(conv2d(x, builder.parameter("a", [16, 16, 1, 1])), axis, 1, 5, step)),
    );
  const graphs = [joined(1), joined(2), joined(3), cut(2, 1), cut(2, 3), cut(3, 1)];
  for (const graph of graphs) {
    expect(worstDifference(evaluate(layOut(graph, 16)), evaluate(graph))).toBeLessThanOrEqual(1e-13);
  }
  const plainAtTheEnd = graphs.map((graph) => {
    const laidOut = layOut(graph, 16);
    return laidOut.nodes[laidOut.outputs.get("y")!]!.op === "fromBlocked";
  });
  expect(plainAtTheEnd).toEqual([true, true, false, true, true, false]);
});

test("blockedLayout takes self-attention between maps to tokens, and attention with a bias not", () => {
  const attend = (biased: boolean) =>
    onMap([2, 16, 4, 3], (x, builder) => {
      const project = (name: string) =>
        reshape(conv2d(x, builder.parameter(name, [16, 16, 1, 1])), [2, 16, 12]);
      const bias = biased ? builder.parameter("bias", [12]) : undefined;
      const options = { heads: 2, scale: 0.5, queries: "channels", keys: "channels" } as const;
      const mixed = attention(project("q"), project("k"), project("v"), bias, options);
      return conv2d(reshape(mixed, [2, 16, 4, 3]), builder.parameter("out", [16, 16, 1, 1]));
    });
  const ops = ["blockedToTokens", "tokensToBlocked", "transpose"] as const;
  const plain = ["fromBlocked", "toBlocked"] as const;
  const [free, biased] = [false, true].map((b) => layOut(attend(b), 16));
  // Weights are transposed too, four of them.
  expect(counts(free!, ...ops, ...plain)).toEqual([3, 1, 4, 1, 1]);
  expect(counts(biased!, ...ops, ...plain)).toEqual([0, 0, 4, 4, 2]);
  expect(worstDifference(evaluate(free!), evaluate(attend(false)))).toBeLessThanOrEqual(1e-13);
  expect(worstDifference(evaluate(biased!), evaluate(attend(true)))).toBeLessThanOrEqual(1e-13);
});
