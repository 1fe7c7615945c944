import { KandinskyError } from "../base/mod.ts";
import { formatShape } from "../tensor/mod.ts";
import { describeNode, type Graph, type Node } from "./graph.ts";
import { OPS, type OpName, type OpRule } from "./ops.ts";

/**
 * Checks that every node follows its inputs, has the type and shape that its rule gives, and that names
 * are used once. Throws `graph_invalid` naming `after` (the pass that ran last) and the first bad node.
 */
export function verifyGraph(graph: Graph, after: string): Graph {
  const names = new Set<string>();
  graph.nodes.forEach((node, id) => {
    const late = node.inputs.find((input) => !(input >= 0 && input < id));
    if (late !== undefined) reject(graph, id, after, `input %${late}`, `an input before %${id}`);
    const [fewest, most] = OPS[node.op].arity;
    if (node.inputs.length < fewest || node.inputs.length > most) {
      reject(graph, id, after, `${node.inputs.length} inputs`, `${fewest} to ${most}`);
    }
    const inferred = infer(graph, id, node, after);
    if (inferred.dtype !== node.dtype || inferred.shape.join() !== node.shape.join()) {
      const wanted = `${inferred.dtype}${formatShape(inferred.shape)}`;
      reject(graph, id, after, `${node.dtype}${formatShape(node.shape)}`, wanted);
    }
    if (node.op === "input" || node.op === "parameter") {
      const name = `${node.op} ${node.attributes.name}`;
      if (names.has(name)) reject(graph, id, after, `a second ${name}`, "each name once");
      names.add(name);
    }
  });
  for (const [name, id] of [...graph.outputs, ...graph.taps]) {
    if (graph.nodes[id] === undefined) {
      throw new KandinskyError("graph_invalid", {
        what: `graph is broken after ${after}`,
        where: `result ${name}`,
        seen: `%${id}`,
        wanted: `a node below %${graph.nodes.length}`,
      });
    }
  }
  return graph;
}

function infer(graph: Graph, id: number, node: Node, after: string) {
  try {
    const rule = OPS[node.op] as OpRule<OpName>;
    return rule.infer(
      node.inputs.map((input) => graph.nodes[input]!),
      node.attributes as never,
    );
  } catch (error) {
    if (error instanceof KandinskyError) {
      return reject(graph, id, after, error.parts.seen ?? "", error.parts.wanted ?? "");
    }
    throw error;
  }
}

function reject(graph: Graph, id: number, after: string, seen: string, wanted: string): never {
  throw new KandinskyError("graph_invalid", {
    what: `graph is broken after ${after}`,
    where: describeNode(graph, id),
    seen,
    wanted,
  });
}
