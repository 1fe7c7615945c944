import {
  attention,
  type Graph,
  type GraphBuilder,
  matmul,
  type Node,
  reshape,
  rewrite,
  transpose,
  type Value,
} from "../graph/mod.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * Attention whose keys and values are linear in one context, with few queries: each head's queries are multiplied by
 * the weight of the keys and meet the context itself, and what they take from it is multiplied by the weight of the
 * values (DeepSeek-AI 2024, "DeepSeek-V2", section 2.1, where the weights are "absorbed"). No keys and values are made
 * of rows that outnumber the queries, and none are kept for the way back. The same products in another order.
 */
export const absorbProjections: Pass = {
  name: "absorb-projections",
  run: (graph: Graph) =>
    removeDeadNodes(
      rewrite(graph, (node, inputs, { builder }) =>
        node.op === "attention" ? absorbed(builder, node, inputs) : undefined,
      ),
    ),
};

function absorbed(
  builder: GraphBuilder,
  { attributes }: Node<"attention">,
  [q, k, v, bias]: readonly Value[],
): Value | undefined {
  const { heads, queries, keys } = attributes;
  if (queries !== "tokens" || keys !== "tokens") return undefined;
  const [key, value] = [k!, v!].map((x) => projection(builder, x));
  if (key === undefined || value === undefined || key.context.id !== value.context.id) return undefined;
  // A bias of its own for every head would have to be laid out by queries.
  if (bias !== undefined && (bias.shape.length !== 4 || bias.shape[1] !== 1 || bias.shape[2] !== 1))
    return undefined;
  const [batch, length, channels] = q!.shape as [number, number, number];
  const [, rows, width] = key.context.shape as [number, number, number];
  const plain = rows * channels * width + length * rows * channels;
  const fewer = length * channels * width + length * heads * rows * width;
  if (fewer >= plain) return undefined;

  const byHead = (weight: Value) => reshape(weight, [heads, weight.shape[0]! / heads, width]);
  const asked = matmul(headsFirst(q!, heads), byHead(key.weight));
  const found = attention(headsInside(asked, batch, length), key.context, key.context, bias, {
    ...attributes,
    heads: 1,
  });
  const taken = transpose(reshape(found, [batch, heads, length * width]), [1, 0, 2]);
  const mixed = matmul(reshape(taken, [heads, batch * length, width]), byHead(value.weight), {
    transposeB: true,
  });
  return reshape(transpose(mixed, [1, 0, 2]), [batch, length, value.weight.shape[0]!]);
}

/** A linear layer without bias: what it reads, and its weight [out, in]. */
function projection(
  builder: GraphBuilder,
  x: Value,
): { readonly context: Value; readonly weight: Value } | undefined {
  const { node, inputs } = builder.definition(x);
  if (node.op !== "matmul") return undefined;
  const { transposeA = false, transposeB } = node.attributes;
  const [context, weight] = inputs as [Value, Value];
  const isLinear = !transposeA && transposeB && weight.shape.length === 2 && context.shape.length === 3;
  return isLinear ? { context, weight } : undefined;
}

/** Queries [B,N,heads * d] as [heads, B * N, d]. */
function headsFirst(q: Value, heads: number): Value {
  const [batch, length, channels] = q.shape as [number, number, number];
  return transpose(reshape(q, [batch * length, heads, channels / heads]), [1, 0, 2]);
}

/** Values [heads, B * N, D] as the queries of one head [B, heads * N, D]. */
function headsInside(x: Value, batch: number, length: number): Value {
  const [heads, , width] = x.shape as [number, number, number];
  const apart = transpose(reshape(x, [heads, batch, length * width]), [1, 0, 2]);
  return reshape(apart, [batch, heads * length, width]);
}
