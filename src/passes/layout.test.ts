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
  GraphBuilder,
  groupNorm,
  type Padding,
  reshape,
  resizeNearest,
  silu,
  type Value,
} from "../graph/mod.ts";
import { movqDecoderGraph, movqEncoderGraph, t5Graph, unetGraph } from "../models/mod.ts";
import { blockedLayout, runPasses } from "./mod.ts";
import { evaluate, SMALL_MOVQ, SMALL_T5, SMALL_UNET, worstDifference } from "./test-support.ts";

/** Both sides compute in float64; only the order of some sums differs. */
const TOLERANCE = 1e-9;

const GRAPHS: Readonly<Record<string, () => Graph>> = {
  "U-Net": () => unetGraph(SMALL_UNET, { batch: 2, height: 8, width: 16, contextLength: 5, steps: 2 }),
  "U-Net of three levels": () =>
    unetGraph(
      { ...SMALL_UNET, blockOutChannels: [32, 32, 64] },
      { batch: 1, height: 12, width: 4, contextLength: 3, steps: 1 },
    ),
  "MoVQ decoder": () => movqDecoderGraph(SMALL_MOVQ, { batch: 2, height: 4, width: 6 }),
  "MoVQ encoder": () => movqEncoderGraph(SMALL_MOVQ, { batch: 2, height: 12, width: 20 }),
  T5: () => t5Graph(SMALL_T5, 2, 7, { from: 0, to: 2 }),
};

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
    const difference = worstDifference(evaluate(laidOut), evaluate(graph));
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
  const [before, after] = [graph, layOut(graph, 16)].map(census);
  expect(before).toEqual({
    add: 0,
  });
  expect(after).toEqual({
    add: 0,
  });
});

test("blockedLayout of the MoVQ decoder turns each doubling into four convolutions of 2x2", () => {
  const graph = GRAPHS["MoVQ decoder"]!();
  const laidOut = layOut(graph, 16);
  expect(counts(graph, "resizeNearest", "conv2d")).toEqual([2, 73]);
  expect(counts(laidOut, "resizeNearest", "blockedConv2d")).toEqual([0, 38]);
});

test("blockedLayout of T5 changes nothing", () => {
  const graph = GRAPHS["T5"]!();
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

test.each([1, 2, 3])("blockedLayout makes a transposed %ix%0$i convolution a 1x1 one", (factor) => {
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

test("blockedLayout joins maps in blocks along the channels only", () => {
  const joined = (axis: number) =>
    onMap([2, 16, 4, 3], (x, builder) => {
      const [a, b] = ["a", "b"].map((name) => conv2d(x, builder.parameter(name, [16, 16, 1, 1])));
      return concat([a!, b!], axis);
    });
  expect([1, 2].map((axis) => counts(layOut(joined(axis), 16), "fromBlocked")[0])).toEqual([1, 2]);
  for (const graph of [joined(1), joined(2)]) {
    expect(worstDifference(evaluate(layOut(graph, 16)), evaluate(graph))).toBeLessThanOrEqual(1e-13);
  }
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

test("blockedLayout keeps taps that the results need, under their names", () => {
  const builder = new GraphBuilder();
  const x = builder.input("x", "float32", [1, 16, 2, 2]);
  const y = conv2d(x, builder.parameter("w", [16, 16, 1, 1]));
  builder.tap("middle", y);
  const scale = builder.parameter("scale", [1, 16, 1, 1]);
  builder.output(
    "y",
    conv2d(groupNorm(y, scale, scale, { groups: 2, epsilon: 1e-5 }), builder.parameter("v", [4, 16, 1, 1])),
  );
  const laidOut = layOut(builder.finish(), 16);
  expect([...laidOut.outputs.keys()]).toEqual(["y"]);
  for (const id of laidOut.taps.values()) expect(laidOut.nodes[id]).toBeDefined();
});
