import { cast, fingerprint, type Graph, nodesOf, rewrite } from "../graph/mod.ts";
import { type DType, ITEM_SIZE } from "../tensor/mod.ts";
import { extract, removeDeadNodes } from "./split.ts";

/** Reads each weight in the type in which its file stores it, followed by a cast to the type computed in. */
export function withStoredTypes(graph: Graph, storedType: (parameter: string) => DType): Graph {
  return rewrite(graph, (node, _, { builder }) => {
    if (node.op !== "parameter") return undefined;
    const { name, shape } = node.attributes;
    return cast(builder.parameter(name, shape, storedType(name)), node.dtype);
  });
}

/** A graph whose weight-only expressions became weights of their own. */
export interface FoldedGraph {
  readonly graph: Graph;
  /** How to compute each new weight from stored ones: a graph with the result `value`. */
  readonly derived: ReadonlyMap<string, Graph>;
}

/**
 * Makes every largest expression over weights and constants a weight of its own, to be computed once and
 * kept on disk. Its name is its first stored weight's and a fingerprint of the expression, so that the same
 * expression has the same name in every graph.
 */
export function foldWeights(graph: Graph): FoldedGraph {
  const fromWeights = weightOnlyNodes(graph);
  const roots = new Set<number>();
  graph.nodes.forEach((node, id) => {
    if (fromWeights.has(id)) return;
    for (const input of node.inputs) if (fromWeights.has(input)) roots.add(input);
  });
  for (const id of graph.outputs.values()) if (fromWeights.has(id)) roots.add(id);

  const derived = new Map<string, Graph>();
  const names = new Map<number, string>();
  for (const id of roots) {
    if (graph.nodes[id]!.op === "parameter") continue;
    const expression = extract(graph, id);
    const name = `${nodesOf(expression, "parameter")[0]!.attributes.name}#${fingerprint(expression)}`;
    derived.set(name, expression);
    names.set(id, name);
  }
  const replaced = rewrite(graph, (node, _, { builder, id }) => {
    const name = names.get(id);
    return name === undefined ? undefined : builder.parameter(name, node.shape, node.dtype);
  });
  return { graph: removeDeadNodes(replaced), derived };
}

/**
 * Keeps each new weight whose values were only widened and moved in the type in which they are stored, and widens it
 * where it is used: half the bytes, the same values.
 */
export function keepNarrow({ graph, derived }: FoldedGraph): FoldedGraph {
  const narrowed = new Map<string, { readonly name: string; readonly expression: Graph }>();
  for (const [name, whole] of derived) {
    if (!whole.nodes.every(({ op }) => MOVES.has(op))) continue;
    const expression = rewrite(whole, (node, [x]) => (node.op === "cast" ? x : undefined));
    const [parameter] = nodesOf(expression, "parameter");
    const { name: stored } = parameter!.attributes;
    if (ITEM_SIZE[parameter!.dtype] >= ITEM_SIZE[dtypeOf(whole)]) continue;
    narrowed.set(name, { name: `${stored}#${fingerprint(expression)}`, expression });
  }
  const kept = new Map(derived);
  for (const [name, { name: other, expression }] of narrowed) {
    kept.delete(name);
    kept.set(other, expression);
  }
  const widened = rewrite(graph, (node, _, { builder }) => {
    const found = node.op === "parameter" ? narrowed.get(node.attributes.name) : undefined;
    if (found === undefined) return undefined;
    return cast(builder.parameter(found.name, node.shape, dtypeOf(found.expression)), node.dtype);
  });
  return { graph: widened, derived: kept };
}

/** Operations that move or widen values and change none. */
const MOVES: ReadonlySet<string> = new Set(["parameter", "reshape", "cast", "transpose"]);

function dtypeOf(expression: Graph): DType {
  return expression.nodes[expression.outputs.get("value")!]!.dtype;
}

/** Nodes that depend on at least one weight and otherwise only on weights and constants. */
function weightOnlyNodes(graph: Graph): Set<number> {
  const result = new Set<number>();
  const constant = new Set<number>();
  graph.nodes.forEach((node, id) => {
    if (node.op === "parameter") result.add(id);
    else if (node.op === "constant") constant.add(id);
    else if (node.inputs.length > 0 && node.inputs.every((i) => result.has(i) || constant.has(i))) {
      (node.inputs.some((i) => result.has(i)) ? result : constant).add(id);
    }
  });
  return result;
}
