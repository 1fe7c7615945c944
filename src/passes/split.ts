import { type Graph, type Node, reachable, rewrite } from "../graph/mod.ts";

/** A graph cut in two: the prologue's outputs are inputs of the body, under the same names. */
export interface SplitGraph {
  /** What does not depend on the named inputs. */
  readonly prologue: Graph;
  /** What does; it also takes those inputs of the whole graph that it uses itself. */
  readonly body: Graph;
}

/**
 * Cuts any graph by what depends on the named inputs. For the U-Net and `sample`, `step` the prologue holds
 * everything that a picture needs once: projected text, keys and values, pooled text, modulation of all steps.
 */
export function splitGraph(graph: Graph, inputs: readonly string[]): SplitGraph {
  const depends = dependentsOf(graph, inputs);
  const needed = reachable(graph, graph.outputs.values());
  const boundary = new Map<number, string>();
  const cross = (id: number) => {
    if (!depends.has(id) && !isSource(graph.nodes[id]!)) boundary.set(id, `carried_${id}`);
  };
  graph.nodes.forEach((node, id) => {
    if (needed.has(id) && depends.has(id)) node.inputs.forEach(cross);
  });
  for (const id of graph.outputs.values()) cross(id);

  const prologueOutputs = new Map([...boundary].map(([id, name]) => [name, id]));
  const prologue = rewrite({ ...graph, outputs: prologueOutputs }, () => undefined);
  const cut = rewrite(graph, (node, _, { builder, id }) => {
    const name = boundary.get(id);
    return name === undefined ? undefined : builder.input(name, node.dtype, node.shape);
  });
  return { prologue, body: removeDeadNodes(cut) };
}

/** Drops what no result needs. */
export function removeDeadNodes(graph: Graph): Graph {
  return rewrite(graph, () => undefined);
}

function dependentsOf(graph: Graph, inputs: readonly string[]): Set<number> {
  const depends = new Set<number>();
  graph.nodes.forEach((node, id) => {
    const named = node.op === "input" && inputs.includes(node.attributes.name);
    if (named || node.inputs.some((input) => depends.has(input))) depends.add(id);
  });
  return depends;
}

function isSource(node: Node): boolean {
  return node.op === "parameter" || node.op === "constant" || node.op === "input";
}

/** The part of a graph that computes one node, as a graph of its own with the result `value`. */
export function extract(graph: Graph, id: number): Graph {
  return removeDeadNodes({ nodes: graph.nodes, outputs: new Map([["value", id]]), taps: new Map() });
}
