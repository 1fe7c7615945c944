import { expect, test } from "vitest";
import { attention, buildGraph, type Graph, nodesOf, type SequenceLayout } from "../graph/mod.ts";
import { chunkAttention, type Pass, runPasses } from "./mod.ts";
import { evaluate, worstDifference } from "./test-support.ts";

const [BATCH, HEADS, QUERIES, KEYS] = [2, 3, 10, 7];

/** Bytes of the scores of one query of all heads and pictures. */
const QUERY_BYTES = BATCH * HEADS * KEYS * 4;

function attend(queries: SequenceLayout, keys: SequenceLayout, bias?: readonly number[]): Graph {
  return buildGraph((builder) => {
    const put = (name: string, layout: SequenceLayout, length: number, channels: number) =>
      builder.input(
        name,
        "float32",
        layout === "tokens" ? [BATCH, length, channels] : [BATCH, channels, length],
      );
    const [q, k] = [put("q", queries, QUERIES, 6), put("k", keys, KEYS, 6)];
    const options = { heads: HEADS, scale: 0.7, queries, keys };
    const biases = bias && builder.input("bias", "float32", bias);
    return { y: attention(q, k, put("v", keys, KEYS, 9), biases, options) };
  });
}

test.each([
  ["tokens", "tokens", undefined],
  ["tokens", "channels", [BATCH, 1, 1, KEYS]],
  ["channels", "tokens", [1, HEADS, 1, KEYS]],
  ["channels", "channels", undefined],
] as const)(
  "chunkAttention of %s by %s with a bias of %j computes the same in parts",
  (queries, keys, bias) => {
    const graph = attend(queries, keys, bias);
    for (const [maxBytes, parts] of [
      [QUERIES * QUERY_BYTES, 1],
      [QUERIES * QUERY_BYTES - 1, 2],
      [4 * QUERY_BYTES, 3],
      [QUERY_BYTES, 10],
      [0, 10],
    ] as const) {
      const chunked = runPasses(graph, [chunkAttention(maxBytes)]);
      expect(nodesOf(chunked, "attention").length, `parts for ${maxBytes} bytes`).toBe(parts);
      expect(worstDifference(evaluate(chunked), evaluate(graph))).toBe(0);
    }
  },
);

test("chunkAttention leaves a bias alone that differs between queries", () => {
  const graph = attend("tokens", "tokens", [1, HEADS, QUERIES, KEYS]);
  expect(runPasses(graph, [chunkAttention(0)])).toEqual(graph);
});

test("runPasses names the pass that broke a graph", () => {
  const graph = attend("tokens", "tokens");
  const breaking: Pass = {
    name: "breaking",
    run: (whole) => ({ ...whole, nodes: whole.nodes.map((node) => ({ ...node, shape: [1] })) }),
  };
  expect(() => runPasses(graph, [chunkAttention(0), breaking])).toThrow(/graph is broken after breaking/);
});
