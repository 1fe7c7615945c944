import { expect, test } from "vitest";
import {
  add,
  buildGraph,
  concat,
  type Graph,
  matmul,
  mul,
  nodesOf,
  parametersOf,
  reshape,
  slice,
  transpose,
} from "../graph/mod.ts";
import { unetGraph } from "../models/mod.ts";
import { cast, float32 } from "../tensor/mod.ts";
import {
  blockedLayout,
  type FoldedGraph,
  foldWeights,
  keepNarrow,
  runPasses,
  withStoredTypes,
} from "./mod.ts";
import { evaluate, randomFeeds, randomWeights, SMALL_UNET, worstDifference } from "./test-support.ts";

/** x [rows,4] times an expression over two weights and a constant, plus a weight as it is. */
function linear(rows: number, factor = 2): Graph {
  return buildGraph((builder) => {
    const x = builder.input("x", "float32", [rows, 4]);
    const [a, b] = ["a", "b"].map((name) => builder.parameter(name, [3, 4]));
    const sum = add(a!, mul(b!, builder.constant(float32([3, 1], [1, factor, 3]))));
    return { y: add(matmul(x, transpose(sum, [1, 0])), builder.parameter("bias", [3])) };
  });
}

/** The folded graph with its new weights computed from the stored ones. */
function evaluateFolded({ graph, derived }: FoldedGraph, whole: Graph) {
  const stored = randomWeights(whole);
  const weights = (name: string) => {
    const expression = derived.get(name);
    return expression === undefined ? stored(name) : evaluate(expression, {}, stored).get("value")!;
  };
  return evaluate(graph, randomFeeds(whole), weights);
}

test("foldWeights makes the largest weight-only expression one weight, named after its first", () => {
  const graph = linear(2);
  const folded = foldWeights(graph);
  expect(nodesOf(folded.graph, "transpose")).toEqual([]);
  const [name] = [...folded.derived.keys()];
  expect(name).toMatch(/^a#[0-9a-f]{13}$/);
  expect(parametersOf(folded.graph)).toEqual([
    { name, shape: [4, 3] },
    { name: "bias", shape: [3] },
  ]);
  expect(folded.derived.size).toBe(1);
  expect(worstDifference(evaluateFolded(folded, graph), evaluate(graph))).toBe(0);
});

test("foldWeights: graphs of other sizes share the name of an expression, other expressions do not", () => {
  const nameIn = (graph: Graph) => [...foldWeights(graph).derived.keys()][0];
  expect(nameIn(linear(7))).toBe(nameIn(linear(2)));
  expect(nameIn(linear(2, 2.5))).not.toBe(nameIn(linear(2)));
});

test("foldWeights folds a result, keeps parts that two expressions share apart, and leaves constants", () => {
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [4]);
    const doubled = mul(builder.parameter("a", [4]), 2);
    const constant = add(builder.constant(float32([], [1])), builder.constant(float32([], [2])));
    const longer = slice(concat([doubled, doubled], 0), 0, 1, 5);
    return { y: mul(add(mul(x, doubled), longer), constant), weight: reshape(doubled, [2, 2]) };
  });
  const folded = foldWeights(graph);
  expect(folded.derived.size).toBe(3);
  expect(nodesOf(folded.graph, "constant").length).toBe(2);
  expect(parametersOf(folded.graph).map(({ shape }) => shape)).toEqual([[4], [4], [2, 2]]);
  expect(worstDifference(evaluateFolded(folded, graph), evaluate(graph))).toBe(0);
});

test("foldWeights of the U-Net in blocks: nothing computes on weights, names do not depend on sizes", () => {
  const fold = (width: number) => {
    const shape = { batch: 1, height: 8, width, contextLength: 3, steps: 2 };
    return foldWeights(runPasses(unetGraph(SMALL_UNET, shape), [blockedLayout(16)]));
  };
  const [narrow, wide] = [fold(8), fold(24)];
  expect([...wide.derived.keys()]).toEqual([...narrow.derived.keys()]);
  expect(narrow.derived.size).toBeGreaterThan(200);
  for (const { op, inputs } of narrow.graph.nodes) {
    if (inputs.length === 0) continue;
    const sources = inputs.map((id) => narrow.graph.nodes[id]!.op);
    const onlyWeights = sources.every((source) => source === "parameter" || source === "constant");
    expect(onlyWeights && sources.includes("parameter"), `${op} of ${sources}`).toBe(false);
  }
});

test("withStoredTypes reads a weight as it is stored and computes in the type of the graph", () => {
  const graph = linear(2);
  const typed = withStoredTypes(graph, (name) => (name === "a" ? "float16" : "float32"));
  expect(nodesOf(typed, "parameter").map(({ dtype }) => dtype)).toEqual(["float16", "float32", "float32"]);
  expect(nodesOf(typed, "cast").map(({ dtype }) => dtype)).toEqual(["float32"]);
  const stored = randomWeights(graph);
  const half = (name: string) => cast(stored(name), name === "a" ? "float16" : "float32");
  const seen = evaluate(typed, randomFeeds(graph), half);
  const difference = worstDifference(seen, evaluate(graph));
  // Half precision keeps eleven bits; a weight that was not rounded would show no difference at all.
  expect(difference).toBeLessThan(1e-3);
  expect(difference).toBeGreaterThan(1e-7);
  expect(worstDifference(seen, evaluate(graph, randomFeeds(graph), half))).toBe(0);
});

test("keepNarrow keeps what was moved in its stored type, computes sums wide, and gives the same values", () => {
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [2, 4]);
    const [a, b, c] = ["a", "b", "c"].map((name) => builder.parameter(name, [3, 4]));
    const products = [a!, add(b!, a!), c!].map((weight) => matmul(x, transpose(weight, [1, 0])));
    return { y: add(add(products[0]!, products[1]!), products[2]!) };
  });
  const type = (name: string) => (name === "c" ? "float32" : name === "b" ? "bfloat16" : "float16");
  const stored = randomWeights(graph);
  const weights = (name: string) => cast(stored(name), type(name));
  const folded = foldWeights(withStoredTypes(graph, type));
  const kept = keepNarrow(folded);
  const dtypes = nodesOf(kept.graph, "parameter").map(({ dtype }) => dtype);
  expect(dtypes.sort()).toEqual(["float16", "float32", "float32"]);
  expect(nodesOf(folded.graph, "parameter").every(({ dtype }) => dtype === "float32")).toBe(true);
  expect(kept.derived.size).toBe(3);
  const values = ({ graph: some, derived }: FoldedGraph) =>
    evaluate(some, randomFeeds(graph), (name) => evaluate(derived.get(name)!, {}, weights).get("value")!);
  expect(worstDifference(values(kept), values(folded))).toBe(0);
});
