import { type Graph, verifyGraph } from "../graph/mod.ts";

/** A named graph-to-graph rewrite that keeps the meaning. */
export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph) => Graph;
}

/** Runs passes in order; the graph is verified after each, and a broken one is reported by the pass's name. */
export function runPasses(graph: Graph, passes: readonly Pass[]): Graph {
  return passes.reduce(
    (current, pass) => verifyGraph(pass.run(current), pass.name),
    verifyGraph(graph, "building"),
  );
}
