import { expect, test } from "vitest";
import { gradients } from "../autodiff/mod.ts";
import {
  add,
  buildGraph,
  embed,
  type Graph,
  matmul,
  mul,
  nodesOf,
  parametersOf,
  reduceSum,
  reshape,
  silu,
} from "../graph/mod.ts";
import { unetGraph } from "../models/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { cutGraph } from "./mod.ts";
import { evaluate, randomFeeds, randomWeights, SMALL_UNET, worstDifference } from "./test-support.ts";

/** All results of the pieces, each run with what the ones before it handed on. */
function runPieces(whole: Graph, pieces: readonly Graph[]): ReadonlyMap<string, Tensor> {
  const weights = randomWeights(whole);
  let known: Record<string, Tensor> = { ...randomFeeds(whole) };
  for (const piece of pieces) {
    const names = nodesOf(piece, "input").map(({ attributes }) => attributes.name);
    const feeds = Object.fromEntries(names.map((name) => [name, known[name]!]));
    known = { ...known, ...Object.fromEntries(evaluate(piece, feeds, weights)) };
  }
  return new Map([...whole.outputs.keys()].map((name) => [name, known[name]!]));
}

const count = (graphs: readonly Graph[], op: "matmul" | "silu" | "conv2d") =>
  graphs.reduce((sum, graph) => sum + nodesOf(graph, op).length, 0);

test("cutGraph: nothing is computed twice but shapes and what weights alone make", () => {
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [4, 6]);
    const weight = silu(builder.parameter("weight", [6, 6]));
    const first = matmul(x, weight);
    const flat = reshape(first, [24]);
    const second = matmul(first, weight);
    return {
      a: reduceSum(flat, 0),
      same: flat,
      b: mul(second, 2),
      c: add(mul(flat, flat), reshape(second, [24])),
    };
  });
  const pieces = cutGraph(graph, [["a"], ["b"], ["c", "same"]]);
  expect(count(pieces, "matmul")).toBe(2);
  expect(count(pieces, "silu")).toBe(2);
  const carried = pieces.map(({ outputs }) =>
    [...outputs.keys()].filter((name) => name.startsWith("carried")),
  );
  // `first` for the others, `second` for the last; the reshaped ones are not handed on.
  expect(carried.map(({ length }) => length)).toEqual([1, 1, 0]);
  expect(worstDifference(runPieces(graph, pieces), evaluate(graph))).toBe(0);
});

test.each([1, 3, 7])(
  "cutGraph of a U-Net with derivatives in %i pieces computes what the whole does",
  (parts) => {
    const shape = { batch: 1, height: 8, width: 8, contextLength: 3, steps: 1 };
    const network = unetGraph({ ...SMALL_UNET, blockOutChannels: [16, 32], attentionHeadDim: 8 }, shape);
    const graph = buildGraphOf(network);
    const names = parametersOf(graph).map(({ name }) => name);
    const whole = gradients(graph, { loss: "loss", wrt: names });
    const order = names
      .map((name) => `grad/${name}`)
      .sort((a, b) => whole.outputs.get(a)! - whole.outputs.get(b)!);
    const size = Math.ceil(order.length / parts);
    const groups = Array.from({ length: parts }, (_, i) => order.slice(i * size, (i + 1) * size));
    const pieces = cutGraph(whole, [["loss", ...groups[0]!], ...groups.slice(1)]);
    expect(pieces.length).toBe(parts);
    expect(count(pieces, "conv2d")).toBe(count([whole], "conv2d"));
    const results = pieces.flatMap(({ outputs }) =>
      [...outputs.keys()].filter((name) => !name.startsWith("carried")),
    );
    expect(results.sort()).toEqual([...whole.outputs.keys()].sort());
    const [seen, wanted] = [runPieces(whole, pieces), evaluate(whole)];
    const different = [...wanted].filter(([name, { data }]) => {
      const other = seen.get(name)!.data;
      return !data.every((value, i) => value === other[i]);
    });
    expect(different.map(([name]) => name)).toEqual([]);
  },
);

/** A network with a loss of one element. */
function buildGraphOf(network: Graph): Graph {
  return buildGraph((builder) => {
    const { prediction } = embed(builder, network);
    const size = prediction!.shape.reduce((a, b) => a * b);
    const flat = reshape(prediction!, [size]);
    return { loss: reduceSum(mul(flat, flat), 0) };
  });
}
