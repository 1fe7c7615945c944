import { GraphBuilder, type Value } from "./builder.ts";
import type { Graph, Node } from "./graph.ts";

/** What a rewriting function may use besides the node and its copied inputs. */
export interface RewriteContext {
  readonly builder: GraphBuilder;
  /** The node's place in the old graph. */
  readonly id: number;
  /** The copy of an earlier node of the old graph. */
  readonly copyOf: (id: number) => Value;
}

/**
 * Copies the nodes that the results need into a new graph. `replace` may return another value for a node
 * (its inputs are already copied); undefined copies it as it is. This is how every pass is written.
 */
export function rewrite(
  graph: Graph,
  replace: (node: Node, inputs: readonly Value[], context: RewriteContext) => Value | undefined,
): Graph {
  const builder = new GraphBuilder();
  const needed = reachable(graph, graph.outputs.values());
  const copies = new Map<number, Value>();
  const copyOf = (id: number) => copies.get(id)!;
  for (const id of [...needed].sort((a, b) => a - b)) {
    const node = graph.nodes[id]!;
    const inputs = node.inputs.map(copyOf);
    const value =
      replace(node, inputs, { builder, id, copyOf }) ??
      builder.copy(
        node,
        inputs,
        node.inputs.map((input) => graph.nodes[input]!),
      );
    copies.set(id, value);
  }
  for (const [name, id] of graph.outputs) builder.output(name, copies.get(id)!);
  for (const [name, id] of graph.taps) {
    const copy = copies.get(id);
    if (copy !== undefined) builder.tap(name, copy);
  }
  return builder.finish();
}

/** The nodes that the given ones need, themselves included. */
export function reachable(graph: Graph, from: Iterable<number>): Set<number> {
  const needed = new Set<number>();
  const open = [...from];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (needed.has(id)) continue;
    needed.add(id);
    open.push(...graph.nodes[id]!.inputs);
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
