import { KandinskyError } from "../base/mod.ts";
import { describeNode, type Graph, type OpName, reachable } from "../graph/mod.ts";

const ELEMENTWISE: ReadonlySet<OpName> = new Set(["add", "sub", "mul", "div", "sqrt", "maximum"]);
const SOURCES: ReadonlySet<OpName> = new Set(["input", "constant"]);

/**
 * Throws `graph_invalid` unless results of the graph may be written over inputs, as `pairs` of input and result
 * say: the runtime does not know that both share memory. So every operation must be elementwise, result and
 * input of one shape, and what reads the old value must come before the new one, that is: lead to it.
 */
export function checkInPlace(graph: Graph, pairs: ReadonlyMap<string, string>): Graph {
  const fail = (id: number, seen: string, wanted: string) =>
    new KandinskyError("graph_invalid", {
      what: "cannot update in place",
      where: describeNode(graph, id),
      seen,
      wanted,
    });
  graph.nodes.forEach((node, id) => {
    if (!ELEMENTWISE.has(node.op) && !SOURCES.has(node.op)) throw fail(id, node.op, "elementwise operations");
  });
  graph.nodes.forEach((node, id) => {
    const result = node.op === "input" ? pairs.get(node.attributes.name) : undefined;
    if (result === undefined) return;
    const to = graph.outputs.get(result);
    if (to === undefined) throw fail(id, `no result ${result}`, "the one that is written over it");
    if (graph.nodes[to]!.shape.join() !== node.shape.join()) {
      throw fail(to, `[${graph.nodes[to]!.shape}]`, `[${node.shape}], the shape of what it is written over`);
    }
    const before = reachable(graph, [to]);
    const late = graph.nodes.findIndex((reader, at) => reader.inputs.includes(id) && !before.has(at));
    if (late >= 0) throw fail(late, "a reader of the old value", "only those that lead to the new one");
  });
  return graph;
}
