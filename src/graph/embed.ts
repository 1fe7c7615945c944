import { KandinskyError } from "../base/mod.ts";
import { formatShape } from "../tensor/mod.ts";
import type { GraphBuilder, Value } from "./builder.ts";
import type { Graph } from "./graph.ts";

/**
 * Copies a graph into a builder, with the values given in the place of its inputs of these names, and returns
 * its results by name. Taps come along; parameters and inputs of the same name become one. Throws
 * `graph_invalid` for a value that is not an input of the graph, or does not have its type and shape.
 */
export function embed(
  builder: GraphBuilder,
  graph: Graph,
  inputs: Readonly<Record<string, Value>> = {},
): Record<string, Value> {
  const left = new Set(Object.keys(inputs));
  const copies: Value[] = [];
  for (const node of graph.nodes) {
    const given =
      node.op === "input" && left.delete(node.attributes.name) ? inputs[node.attributes.name] : undefined;
    if (given !== undefined && (given.dtype !== node.dtype || given.shape.join() !== node.shape.join())) {
      throw new KandinskyError("graph_invalid", {
        what: "cannot embed a graph",
        where: `input ${(node.attributes as { name: string }).name}`,
        seen: `${given.dtype}${formatShape(given.shape)}`,
        wanted: `${node.dtype}${formatShape(node.shape)}`,
      });
    }
    const operands = node.inputs.map((id) => copies[id]!);
    copies.push(given ?? builder.apply(node.op, operands, node.attributes as never));
  }
  if (left.size > 0) {
    throw new KandinskyError("graph_invalid", {
      what: "cannot embed a graph",
      seen: `values for ${[...left].join(", ")}`,
      wanted: "its inputs",
    });
  }
  for (const [name, id] of graph.taps) builder.tap(name, copies[id]!);
  return Object.fromEntries([...graph.outputs].map(([name, id]) => [name, copies[id]!]));
}
