import { type Node, type SequenceLayout, sequence } from "../graph/mod.ts";
import { type LoweringContext, MICROSOFT } from "./lowerings.ts";

/** Scores, softmax and mix as batched products; the channel-first layout needs no transposition at all. */
export function lowerAttention({ emit, graph, node, inputs }: LoweringContext<"attention">): string {
  const { heads, scale, queries, keys } = node.attributes;
  const [q, k, v, bias] = node.inputs.map((id) => graph.nodes[id]!);
  if (queries === "tokens" && keys === "tokens" && bias === undefined) {
    // Goes through the keys in pieces that fit the cache: the scores are never all in memory.
    const attributes = { num_heads: { int: heads }, scale: { float: scale } };
    return emit.emit(`${MICROSOFT}:MultiHeadAttention`, inputs, attributes);
  }
  const split = (name: string, x: Node, layout: SequenceLayout) => {
    const { batch, length, channels } = sequence(x, layout);
    if (layout === "channels") {
      return emit.emit("Reshape", [name, emit.integers([batch, heads, channels / heads, length])]);
    }
    // With one head both orders are the same.
    if (heads === 1) return emit.emit("Reshape", [name, emit.integers([batch, 1, length, channels])]);
    const apart = emit.emit("Reshape", [name, emit.integers([batch, length, heads, channels / heads])]);
    return emit.emit("Transpose", [apart], { perm: { ints: [0, 2, 1, 3] } });
  };
  let scores = emit.emit(
    `${MICROSOFT}:FusedMatMul`,
    [split(inputs[0]!, q!, queries), split(inputs[1]!, k!, keys)],
    {
      alpha: { float: scale },
      transA: { int: queries === "channels" ? 1 : 0 },
      transB: { int: keys === "tokens" ? 1 : 0 },
    },
  );
  if (bias) scores = emit.emit("Add", [scores, inputs[3]!]);
  const weights = emit.emit("Softmax", [scores], { axis: { int: -1 } });
  const values = split(inputs[2]!, v!, keys);
  if (queries === "channels") {
    const mixed = emit.emit(`${MICROSOFT}:FusedMatMul`, [values, weights], {
      transA: { int: keys === "tokens" ? 1 : 0 },
      transB: { int: 1 },
    });
    return emit.emit("Reshape", [mixed, emit.integers(node.shape)]);
  }
  const mixed = emit.emit(`${MICROSOFT}:FusedMatMul`, [weights, values], {
    transB: { int: keys === "channels" ? 1 : 0 },
  });
  const together = heads === 1 ? mixed : emit.emit("Transpose", [mixed], { perm: { ints: [0, 2, 1, 3] } });
  return emit.emit("Reshape", [together, emit.integers(node.shape)]);
}
