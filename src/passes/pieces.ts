import { type Graph, type Node, reachable, rewrite, verifyGraph } from "../graph/mod.ts";
import { removeDeadNodes } from "./split.ts";

/** The name under which a piece hands the value of a node to later ones: its result and their input. */
export function carriedName(id: number): string {
  return `carried_${id}`;
}

/**
 * Cuts a graph into pieces that run one after the other. A piece computes what the results of its group need and no
 * piece before it has; what later pieces need of it are results of it as well, and inputs of theirs, by the same name.
 * A result lies in the first piece that computes it, which may be an earlier one than its group's. What is made of weights
 * alone, and other shapes of a value, are made again in each piece instead.
 */
export function cutGraph(graph: Graph, groups: readonly (readonly string[])[]): Graph[] {
  const { nodes } = graph;
  const pieces = new Array<number>(nodes.length).fill(groups.length);
  const repeated = repeatedNodes(graph);
  groups.forEach((names, piece) => {
    const ids = names.map((name) => graph.outputs.get(name)!);
    for (const id of reachable(graph, ids)) pieces[id] = Math.min(pieces[id]!, piece);
    // One that is made again in each piece has no piece of its own.
    for (const id of ids) if (repeated[id]) pieces[id] = piece;
  });

  const carried = new Set<number>();
  const carry = (id: number, to: number): void => {
    if (repeated[id]) for (const input of nodes[id]!.inputs) carry(input, to);
    else if (pieces[id]! < to) carried.add(id);
  };
  nodes.forEach(({ inputs }, id) => {
    if (!repeated[id] && pieces[id]! < groups.length) for (const input of inputs) carry(input, pieces[id]!);
  });
  for (const id of graph.outputs.values()) if (repeated[id]) carry(id, pieces[id]!);

  return groups.map((_, piece) => {
    const own = [...graph.outputs].filter(([, id]) => pieces[id] === piece);
    const handed = [...carried].filter((id) => pieces[id] === piece);
    const outputs = new Map([...own, ...handed.map((id) => [carriedName(id), id] as const)]);
    const cut = rewrite({ ...graph, outputs }, (node, __, { builder, id }) =>
      carried.has(id) && pieces[id]! < piece
        ? builder.input(carriedName(id), node.dtype, node.shape)
        : undefined,
    );
    return verifyGraph(removeDeadNodes(cut), "cutting into pieces");
  });
}

/** Which nodes cost nothing to make again, or depend on nothing but weights. */
function repeatedNodes({ nodes }: Graph): readonly boolean[] {
  const fixed: boolean[] = [];
  return nodes.map((node, id) => {
    fixed[id] = node.op !== "input" && node.inputs.every((input) => fixed[input]);
    return fixed[id] || isView(node);
  });
}

function isView({ op }: Node): boolean {
  return op === "input" || op === "reshape";
}
