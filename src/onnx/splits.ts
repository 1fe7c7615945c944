import type { Graph, Node } from "../graph/mod.ts";
import type { Emitter } from "./emitter.ts";

/** Slices of one tensor that together are the whole of it, in their order along the axis. */
interface WholeCut {
  readonly axis: number;
  /** Node numbers of the slices. */
  readonly members: readonly number[];
  readonly sizes: readonly number[];
}

/**
 * Slices that cut one tensor into pieces without a gap, by the number of each: one `Split` gives all of them. A node
 * costs the runtime some microseconds, and the U-Net cuts its row of scales and shifts into hundreds.
 */
export function wholeCuts(graph: Graph): ReadonlyMap<number, WholeCut> {
  const byInput = new Map<string, { readonly id: number; readonly node: Node<"slice"> }[]>();
  graph.nodes.forEach((node, id) => {
    if (node.op !== "slice" || node.attributes.step !== 1) return;
    const key = `${node.inputs[0]} ${node.attributes.axis}`;
    const slices = byInput.get(key) ?? [];
    slices.push({ id, node: node as Node<"slice"> });
    byInput.set(key, slices);
  });
  const cuts = new Map<number, WholeCut>();
  for (const slices of byInput.values()) {
    slices.sort((a, b) => a.node.attributes.start - b.node.attributes.start);
    const { axis } = slices[0]!.node.attributes;
    const length = graph.nodes[slices[0]!.node.inputs[0]!]!.shape[axis]!;
    const edges = [0, ...slices.map(({ node }) => node.attributes.end)];
    const whole =
      edges.at(-1) === length && slices.every(({ node }, i) => node.attributes.start === edges[i]);
    if (!whole || slices.length < 2) continue;
    const members = slices.map(({ id }) => id);
    const cut: WholeCut = { axis, members, sizes: slices.map(({ node }) => node.shape[axis]!) };
    for (const id of members) cuts.set(id, cut);
  }
  return cuts;
}

/** Emits the `Split` of a cut and returns the results' names by node number. */
export function emitSplit(
  emit: Emitter,
  input: string,
  { axis, members, sizes }: WholeCut,
): Map<number, string> {
  const outputs = emit.emitAll("Split", [input, emit.integers(sizes)], members.length, {
    axis: { int: axis },
  });
  return new Map(members.map((id, i) => [id, outputs[i]!]));
}
