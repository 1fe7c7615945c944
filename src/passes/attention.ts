import { attention, concat, type Graph, type Node, rewrite, sequence, slice } from "../graph/mod.ts";
import type { Pass } from "./pass.ts";

/**
 * Computes attention for a part of the queries at a time where the scores would take more than `maxBytes`.
 * Each query's row is independent, so the result is the same.
 */
export function chunkAttention(maxBytes: number): Pass {
  return { name: "chunk-attention", run: (graph) => chunk(graph, maxBytes) };
}

function chunk(graph: Graph, maxBytes: number): Graph {
  return rewrite(graph, (node, inputs) => {
    if (node.op !== "attention") return undefined;
    const { heads, queries, keys } = node.attributes;
    const [q, k, v, bias] = inputs;
    const { batch, length } = sequence(q!, queries);
    const bytesOfQuery = batch * heads * sequence(k!, keys).length * FLOAT_BYTES;
    const size = Math.max(1, Math.floor(maxBytes / bytesOfQuery));
    // A bias that differs between queries would have to be cut too; no model here has one that long.
    if (size >= length || (bias !== undefined && bias.shape[2] !== 1)) return undefined;
    const axis = axisOfLength(node);
    const parts = Array.from({ length: Math.ceil(length / size) }, (_, i) => {
      const part = slice(q!, axis, i * size, Math.min(length, (i + 1) * size));
      return attention(part, k!, v!, bias, node.attributes);
    });
    return concat(parts, axis);
  });
}

const FLOAT_BYTES = 4;

function axisOfLength(node: Node<"attention">): number {
  return node.attributes.queries === "tokens" ? 1 : 2;
}
