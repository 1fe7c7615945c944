import { type Graph, rewrite } from "../graph/mod.ts";
import type { Pass } from "./pass.ts";

/** Parameters become inputs of the same name: for a program whose weights change from run to run. */
export const feedParameters: Pass = {
  name: "feed-parameters",
  run: (graph: Graph) =>
    rewrite(graph, (node, _, { builder }) =>
      node.op === "parameter" ? builder.input(node.attributes.name, node.dtype, node.shape) : undefined,
    ),
};
