import { formatShape } from "../tensor/mod.ts";
import type { Graph, Node } from "./graph.ts";

/** One line a node, stable between runs: `%12 = conv2d %10 %3 %4 {stride:1} : float32[1,8,4,6]`. */
export function printGraph(graph: Graph): string {
  const tapsById = new Map([...graph.taps].map(([name, id]) => [id, name]));
  const lines = graph.nodes.map((node, id) => {
    const operands = node.inputs.map((input) => ` %${input}`).join("");
    const tap = tapsById.get(id);
    const place = tap === undefined ? "" : `  # ${tap}`;
    return `%${id} = ${node.op}${operands}${printAttributes(node)} : ${node.dtype}${formatShape(node.shape)}${place}`;
  });
  const results = [...graph.outputs].map(([name, id]) => `${name} = %${id}`);
  return [...lines, `return ${results.join(", ")}`].join("\n");
}

/** How often each operation occurs, for pinning large graphs by a census. */
export function census(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function printAttributes(node: Node): string {
  if (node.op === "constant") {
    const { data } = node.attributes.value;
    const shown = Array.from(data.subarray(0, 4), String).join(" ");
    return ` {${shown}${data.length > 4 ? " ..." : ""}}`;
  }
  if (node.op === "input" || node.op === "parameter") return ` ${node.attributes.name}`;
  const entries = Object.entries(node.attributes).map(([key, value]) => `${key}:${JSON.stringify(value)}`);
  return entries.length === 0 ? "" : ` {${entries.join(" ")}}`;
}
