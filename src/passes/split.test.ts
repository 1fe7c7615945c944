import { expect, test } from "vitest";
import {
  add,
  buildGraph,
  concat,
  type Graph,
  type GraphBuilder,
  matmul,
  mul,
  nodesOf,
  reachable,
  reshape,
  silu,
  sin,
  slice,
  type Value,
} from "../graph/mod.ts";
import { unetGraph } from "../models/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { blockedLayout, chunkAttention, foldWeights, runPasses, splitGraph } from "./mod.ts";
import { evaluate, randomFeeds, randomWeights, SMALL_UNET, worstDifference } from "./test-support.ts";

const NAMED = ["sample", "step"];

/** A graph of 40 random operations on [3,4] values, with results of both kinds, and sources as results. */
function randomGraph(seed: number): Graph {
  let state = seed + 1;
  // Lehmer's generator: enough to choose operands.
  const below = (limit: number) => {
    state = (state * 48271) % 2147483647;
    return state % limit;
  };
  return buildGraph((builder) => {
    const values = sources(builder);
    const pick = () => values[below(values.length)]!;
    const make = [
      () => add(pick(), pick()),
      () => mul(pick(), pick()),
      () => sin(pick()),
      () => silu(pick()),
      () => reshape(matmul(pick(), pick(), { transposeB: true }), [9]),
      () => slice(concat([pick(), pick()], 0), 0, 1, 4),
    ];
    for (let i = 0; i < 40; i++) {
      const value = make[below(make.length)]!();
      values.push(value.shape.length === 1 ? add(pick(), slice(value, 0, 2, 6)) : value);
    }
    const results = Array.from({ length: 4 }, (_, i) => [`y${i}`, values.at(-1 - 3 * i)!] as const);
    return { ...Object.fromEntries(results), source: pick(), input: values[0]!, weight: values[3]! };
  });
}

function sources(builder: GraphBuilder): Value[] {
  const constant = Float32Array.from({ length: 12 }, (_, i) => i / 10);
  return [
    ...["sample", "step", "context"].map((name) => builder.input(name, "float32", [3, 4])),
    builder.parameter("weight", [3, 4]),
    builder.constant(float32([3, 4], constant)),
  ];
}

/** Prologue then body, with the values that the whole graph gets. */
function runSplit(whole: Graph, prologue: Graph, body: Graph) {
  const [feeds, weights] = [randomFeeds(whole), randomWeights(whole)];
  const carried = Object.fromEntries(evaluate(prologue, feeds, weights));
  return evaluate(body, { ...feeds, ...carried }, weights);
}

function inputNames(graph: Graph): string[] {
  return nodesOf(graph, "input").map(({ attributes }) => attributes.name);
}

/** Checks what a split promises besides the values. */
function checkCut(whole: Graph, prologue: Graph, body: Graph): void {
  expect(inputNames(prologue).filter((name) => NAMED.includes(name))).toEqual([]);
  const carried = [...prologue.outputs.keys()];
  const known = [...inputNames(whole), ...carried];
  expect(inputNames(body).filter((name) => !known.includes(name))).toEqual([]);
  // Everything carried is used, and is worth carrying.
  expect(carried.filter((name) => !inputNames(body).includes(name))).toEqual([]);
  for (const id of prologue.outputs.values()) expect(prologue.nodes[id]!.inputs.length).toBeGreaterThan(0);
  // Whatever the body computes needs the named inputs.
  body.nodes.forEach((node, id) => {
    if (node.inputs.length === 0) return;
    const needs = [...reachable(body, [id])].map((at) => body.nodes[at]!);
    const reasons = needs.filter((one) => one.op === "input" && NAMED.includes(one.attributes.name));
    expect(reasons.length, `%${id} ${node.op} of the body`).toBeGreaterThan(0);
  });
  expect([...body.outputs.keys()]).toEqual([...whole.outputs.keys()]);
}

test("splitGraph of random graphs: prologue and body compute what the whole does", () => {
  let cut = 0;
  for (let seed = 0; seed < 50; seed++) {
    const graph = randomGraph(seed);
    const { prologue, body } = splitGraph(graph, NAMED);
    checkCut(graph, prologue, body);
    const difference = worstDifference(runSplit(graph, prologue, body), evaluate(graph));
    expect(difference, `seed ${seed}`).toBe(0);
    if (prologue.outputs.size > 0) cut++;
  }
  expect(cut, "graphs with something to carry").toBeGreaterThan(30);
});

test("splitGraph carries a result that no named input changes", () => {
  const graph = buildGraph((builder) => {
    const [sample, , context, weight] = sources(builder) as [Value, Value, Value, Value];
    return { y: add(sample, context), fixed: mul(context, weight) };
  });
  const { prologue, body } = splitGraph(graph, NAMED);
  expect([prologue.outputs.size, nodesOf(body, "mul").length, nodesOf(prologue, "mul").length]).toEqual([
    1, 0, 1,
  ]);
  expect(worstDifference(runSplit(graph, prologue, body), evaluate(graph))).toBe(0);
});

test("splitGraph of the U-Net: the body has no text, time embedding or modulation, and only picks its step", () => {
  const shape = { batch: 2, height: 8, width: 8, contextLength: 5, steps: 3 };
  const graph = runPasses(unetGraph(SMALL_UNET, shape), [blockedLayout(16), chunkAttention(1e4)]);
  const { prologue, body } = splitGraph(foldWeights(graph).graph, NAMED);
  checkCut(graph, prologue, body);
  expect(inputNames(body).filter((name) => !name.startsWith("carried_"))).toEqual([
    "sample",
    "step",
    "mask_bias",
  ]);
  const weights = (part: Graph) => nodesOf(part, "parameter").map(({ attributes }) => attributes.name);
  const ofPrologue = /time_embedding|add_time_condition|context_mlp|attention\.to_[kv]/;
  // Keys and values of self-attention belong to the body.
  const crossOrTime = weights(body).filter((name) => ofPrologue.test(name) && !/attentions\.0\./.test(name));
  expect(crossOrTime).toEqual([]);
  expect(weights(prologue).filter((name) => !ofPrologue.test(name))).toEqual([]);
});

test("splitGraph of the U-Net after all passes computes what the U-Net does", () => {
  const shape = { batch: 2, height: 8, width: 8, contextLength: 5, steps: 3 };
  const plain = unetGraph(SMALL_UNET, shape);
  const { graph, derived } = foldWeights(runPasses(plain, [blockedLayout(16), chunkAttention(1e4)]));
  const { prologue, body } = splitGraph(graph, NAMED);
  const stored = randomWeights(plain);
  const feeds = randomFeeds(plain);
  const weights = (name: string) => {
    const expression = derived.get(name);
    return expression === undefined ? stored(name) : evaluate(expression, {}, stored).get("value")!;
  };
  const carried = Object.fromEntries(evaluate(prologue, feeds, weights));
  const seen = evaluate(body, { ...feeds, ...carried }, weights);
  const difference = worstDifference(seen, evaluate(plain));
  expect(difference, `worst relative difference ${difference}`).toBeLessThanOrEqual(1e-12);
});
