import { expect, test } from "vitest";
import { attention, buildGraph, census, type Graph, matmul, nodesOf } from "../graph/mod.ts";
import { absorbProjections, runPasses } from "./mod.ts";
import { evaluate, worstDifference } from "./test-support.ts";

const [BATCH, HEADS, DEPTH, KEYS, WIDTH] = [2, 3, 4, 9, 5];

interface Case {
  readonly queries?: number;
  readonly depth?: number;
  readonly bias?: readonly number[];
  readonly isApart?: boolean;
}

/** Queries of `HEADS` heads that attend to a projected context; `isApart`: values come from another one. */
function crossAttention({ queries = 2, depth = DEPTH, bias, isApart = false }: Case): Graph {
  return buildGraph((builder) => {
    const context = (name: string) => builder.input(name, "float32", [BATCH, KEYS, WIDTH]);
    const [one, other] = isApart ? [context("context"), context("other")] : Array(2).fill(context("context"));
    const linear = (name: string, x: typeof one, out: number) =>
      matmul(x!, builder.parameter(name, [out, WIDTH]), { transposeB: true });
    return {
      y: attention(
        builder.input("q", "float32", [BATCH, queries, HEADS * DEPTH]),
        linear("to_k", one, HEADS * DEPTH),
        linear("to_v", other, HEADS * depth),
        bias && builder.input("bias", "float32", bias),
        { heads: HEADS, scale: 0.7, queries: "tokens", keys: "tokens" },
      ),
    };
  });
}

test.each<Case>([
  {},
  { queries: 1, bias: [BATCH, 1, 1, KEYS] },
  // Values of another depth than keys.
  { depth: 2, bias: [1, 1, 1, KEYS] },
])("absorbProjections lets %j queries read the context itself", (one) => {
  const graph = crossAttention(one);
  const absorbed = runPasses(graph, [absorbProjections]);
  expect(worstDifference(evaluate(absorbed), evaluate(graph))).toBeLessThan(1e-12);
  const context = absorbed.nodes.findIndex(
    (node) => node.op === "input" && node.attributes.name === "context",
  );
  const [found] = nodesOf(absorbed, "attention");
  expect([found!.attributes.heads, ...found!.inputs.slice(1, 3)]).toEqual([1, context, context]);
});

test.each<Case>([
  // As many queries as keys: more work, not less.
  { queries: KEYS },
  { bias: [BATCH, HEADS, 1, KEYS] },
  { bias: [BATCH, 1, 2, KEYS] },
  { isApart: true },
])("absorbProjections leaves %j alone", (one) => {
  const graph = crossAttention(one);
  expect(census(runPasses(graph, [absorbProjections]))).toEqual(census(graph));
});
