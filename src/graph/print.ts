import { formatShape } from "../tensor/mod.ts";
import { type Graph, type Node, nodesOf } from "./graph.ts";

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

/**
 * A short text that two graphs share only if they compute the same thing in the same way: 52 bits of FNV-1a
 * over the printed form and the values of all constants.
 */
export function fingerprint(graph: Graph): string {
  let low = 0x811c9dc5;
  let high = 0x9dc5811c;
  const mix = (byte: number) => {
    low = Math.imul(low ^ byte, 0x01000193) >>> 0;
    high = Math.imul(high ^ (byte + (low >>> 24)), 0x01000193) >>> 0;
  };
  const text = printGraph({ ...graph, taps: new Map() });
  for (let i = 0; i < text.length; i++) mix(text.charCodeAt(i) & 255);
  for (const { attributes } of nodesOf(graph, "constant")) {
    const { buffer, byteOffset, byteLength } = attributes.value.data;
    for (const byte of new Uint8Array(buffer, byteOffset, byteLength)) mix(byte);
  }
  return (high & 0xfffff).toString(16).padStart(5, "0") + low.toString(16).padStart(8, "0");
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
