import { GraphBuilder, type Value } from "./builder.ts";
import type { Graph, Node } from "./graph.ts";

/**
 * Copies the nodes that results and kept taps need into a new graph. `replace` may return another value for
 * a node (its inputs are already copied); undefined copies it as it is. This is how every pass is written.
 */
export function rewrite(
  graph: Graph,
  replace: (node: Node, inputs: readonly Value[], builder: GraphBuilder, id: number) => Value | undefined,
): Graph {
  const builder = new GraphBuilder();
  const needed = reachable(graph, graph.outputs.values());
  const copies = new Map<number, Value>();
  graph.nodes.forEach((node, id) => {
    if (!needed.has(id)) return;
    const inputs = node.inputs.map((input) => copies.get(input)!);
    const value =
      replace(node, inputs, builder, id) ?? builder.apply(node.op, inputs, node.attributes as never);
    copies.set(id, value);
  });
  for (const [name, id] of graph.outputs) builder.output(name, copies.get(id)!);
  for (const [name, id] of graph.taps) {
    const copy = copies.get(id);
    if (copy !== undefined) builder.tap(name, copy);
  }
  return builder.finish();
}

/** The nodes that the given ones need, themselves included. */
export function reachable(graph: Graph, from: Iterable<number>): Set<number> {
  const needed = new Set<number>(from);
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (needed.has(id)) for (const input of graph.nodes[id]!.inputs) needed.add(input);
  }
  return needed;
}

/** How many nodes and results use each node. */
export function useCounts(graph: Graph): number[] {
  const counts = new Array<number>(graph.nodes.length).fill(0);
  for (const node of graph.nodes) for (const input of node.inputs) counts[input]!++;
  for (const id of graph.outputs.values()) counts[id]!++;
  return counts;
}
