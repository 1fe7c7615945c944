import { expect, test } from "vitest";
import { add, buildGraph, census, type Graph, gather, matmul, nodesOf, silu } from "../graph/mod.ts";
import { dequantize, packedSpans, packWeight, type QuantScheme, quantize } from "../quant/mod.ts";
import { cast, type Tensor, tensor } from "../tensor/mod.ts";
import { type RoundedGraph, roundConvolutions, roundLinears } from "./mod.ts";
import { evaluate, randomFeeds, randomTensor, worstDifference } from "./test-support.ts";

const SCHEMES: QuantScheme[] = ([4, 8] as const).flatMap((bits) =>
  [true, false].map((symmetric) => ({ bits, block: 32 as const, symmetric })),
);

const BLOCK = 16;

/** A convolution with bias and residual sum, of so many output channels. */
function convolutionGraph(out: number): Graph {
  return buildGraph((b) => {
    const x = b.input("x", "float32", [2, 32, 3, 5]);
    const sum = b.input("sum", "float32", [2, out, 3, 5]);
    const operands = [x, b.parameter("weight", [out, 32, 3, 3]), b.parameter("bias", [out]), sum];
    const attributes = { block: BLOCK, stride: 1, padding: [1, 1, 1, 1] } as const;
    return { y: silu(b.apply("blockedConv2d", operands, attributes)) };
  });
}

function linearGraph(): Graph {
  return buildGraph((b) => {
    const rows = gather(b.parameter("table", [128, 96]), b.input("ids", "int64", [2, 3]));
    const y = matmul(rows, b.parameter("weight", [80, 96]), { transposeB: true });
    return { y: add(y, b.parameter("bias", [80])) };
  });
}

function weightOf(graph: Graph): (name: string) => Tensor<"float32"> {
  const shapes = new Map(
    nodesOf(graph, "parameter").map(({ attributes, shape }) => [attributes.name, shape]),
  );
  return (name) => cast(randomTensor(name, shapes.get(name)!, 0.1), "float32");
}

/** The original graph on rounded weights, and the rewritten one on their packed bytes. */
function both(graph: Graph, { graph: rewritten, weights, pieces }: RoundedGraph) {
  const stored = weightOf(graph);
  const plain = (name: string): Tensor => {
    const weight = stored(name);
    const form = [...weights.values()].find((one) => one.weight === name)?.form;
    if (form === undefined) return weight;
    const rounded = quantize(weight.data, form.grid, form.scheme);
    return tensor("float32", weight.shape, dequantize(rounded, form.grid, form.scheme));
  };
  const nodes = new Map(nodesOf(rewritten, "parameter").map((node) => [node.attributes.name, node]));
  const packed = (name: string): Tensor => {
    const piece = pieces.get(name);
    if (piece === undefined) return stored(name);
    const { weight, form } = weights.get(piece.packed)!;
    const { offset, byteLength } = packedSpans(form).slices[piece.slice]![piece.role]!;
    const bytes = packWeight(stored(weight).data, form).slice(offset, offset + byteLength);
    const { dtype, shape } = nodes.get(name)!;
    const arrays = { uint8: Uint8Array, float16: Uint16Array, float32: Float32Array };
    return tensor(dtype, shape, new arrays[dtype as "uint8"](bytes.buffer));
  };
  const feeds = randomFeeds(graph);
  return worstDifference(evaluate(rewritten, feeds, packed), evaluate(graph, feeds, plain));
}

test.each(SCHEMES.flatMap((scheme) => [128, 144, 48].map((out) => [scheme, out] as const)))(
  "roundConvolutions of %j with %i channels computes what rounded weights would",
  (scheme, out) => {
    const graph = convolutionGraph(out);
    const rounded = roundConvolutions(graph, (name) => (name === "weight" ? scheme : undefined));
    expect(nodesOf(rounded.graph, "dequantize").length).toBeGreaterThan(0);
    const difference = both(graph, rounded);
    expect(difference, `worst relative difference ${difference}`).toBeLessThanOrEqual(1e-12);
  },
);

test.each(SCHEMES)("roundLinears of %j computes what rounded weights would, in tables too", (scheme) => {
  const graph = linearGraph();
  const rounded = roundLinears(graph, (name) => (name === "bias" ? undefined : scheme));
  const { matmul: products = 0, matmulNBits } = census(rounded.graph);
  expect([products, matmulNBits]).toEqual([0, 1]);
  const difference = both(graph, rounded);
  expect(difference, `worst relative difference ${difference}`).toBeLessThanOrEqual(1e-12);
});

test("roundConvolutions cuts a large weight into slices of channels, and small ones stay", () => {
  const graph = buildGraph((b) => {
    const x = b.input("x", "float32", [1, 1024, 2, 2]);
    const conv = (name: string, out: number) =>
      b.apply("blockedConv2d", [x, b.parameter(name, [out, 1024, 3, 3])], {
        block: BLOCK,
        stride: 1,
        padding: [1, 1, 1, 1],
      });
    return { large: conv("large", 512), kept: conv("kept", 16) };
  });
  const rounded = roundConvolutions(graph, (name) => (name === "large" ? SCHEMES[2] : undefined));
  const { form } = [...rounded.weights.values()][0]!;
  expect(form.slices).toEqual([8, 8, 8, 8]);
  expect(rounded.weights.size).toBe(1);
  const convolved = nodesOf(rounded.graph, "blockedConv2d").map(({ shape }) => shape[1]);
  expect(convolved.sort()).toEqual([128, 128, 128, 128, 16].sort());
});
