import { product } from "../base/mod.ts";
import { type Graph, type Node, rewrite } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import type { Pass } from "./pass.ts";
import { extract, removeDeadNodes } from "./split.ts";

/** Values of more elements than this stay operations: a constant is stored in the model itself. */
const MAX_ELEMENTS = 65536;

/** Computes once what depends on constants alone. */
export const foldConstants: Pass = {
  name: "fold-constants",
  run: (graph) => {
    const known = constantNodes(graph);
    const folded = rewrite(graph, (node, _, { builder, id }) => {
      if (node.op === "constant" || !known.has(id) || product(node.shape) > MAX_ELEMENTS) return undefined;
      const noFeed = (name: string) => {
        throw new RangeError(`a constant does not depend on ${name}`);
      };
      return builder.constant(interpret(extract(graph, id), {}, noFeed).get("value")!);
    });
    return removeDeadNodes(folded);
  },
};

function constantNodes(graph: Graph): Set<number> {
  const known = new Set<number>();
  graph.nodes.forEach((node: Node, id) => {
    const fromConstants = node.inputs.length > 0 && node.inputs.every((input) => known.has(input));
    if (node.op === "constant" || fromConstants) known.add(id);
  });
  return known;
}
