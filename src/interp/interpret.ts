import { KandinskyError, nearest } from "../base/mod.ts";
import { type Graph, type Node, reachable } from "../graph/mod.ts";
import { formatShape, type Tensor } from "../tensor/mod.ts";
import { KERNELS, type Kernel } from "./kernels.ts";
import { narrow, round, type Values, widen } from "./values.ts";

/**
 * Runs a graph in float64, node by node: slow, and the definition that faster executors are held to.
 * Only what `wanted` (names of outputs or taps; all outputs by default) needs is computed; results have
 * their nodes' element types, values between them are not rounded except by `cast`. Feeds the graph does
 * not have are ignored, since passes may drop inputs. Stored parameters of another element type are
 * converted to the node's.
 *
 * Throws `input_missing`, `tensor_shape` or `tensor_dtype` naming the feed or parameter, and `graph_invalid`
 * for a wanted name that the graph does not have.
 */
export function interpret(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  parameters: (name: string) => Tensor,
  wanted: readonly string[] = [...graph.outputs.keys()],
): Map<string, Tensor> {
  const results = wanted.map((name) => [name, locate(graph, name)] as const);
  const needed = reachable(
    graph,
    results.map(([, id]) => id),
  );
  const uses = countUses(graph, needed, results);
  const values = new Map<number, Values>();
  graph.nodes.forEach((node, id) => {
    if (!needed.has(id)) return;
    const inputs = node.inputs.map((input) => values.get(input)!);
    values.set(id, { shape: node.shape, data: evaluate(node, inputs, feeds, parameters) });
    for (const input of node.inputs) {
      const left = uses.get(input)! - 1;
      uses.set(input, left);
      if (left === 0) values.delete(input);
    }
  });
  return new Map(results.map(([name, id]) => [name, narrow(values.get(id)!, graph.nodes[id]!.dtype)]));
}

function evaluate(
  node: Node,
  inputs: readonly Values[],
  feeds: Readonly<Record<string, Tensor>>,
  parameters: (name: string) => Tensor,
): Float64Array {
  switch (node.op) {
    case "input": {
      const { name } = node.attributes;
      const feed = Object.hasOwn(feeds, name) ? feeds[name] : undefined;
      if (feed === undefined) {
        throw new KandinskyError("input_missing", {
          what: "cannot interpret the graph",
          where: `feed ${name}`,
          seen: `feeds ${Object.keys(feeds).join(", ") || "none"}`,
          wanted: `${node.dtype}${formatShape(node.shape)}`,
        });
      }
      if (feed.dtype !== node.dtype) throw misfit("tensor_dtype", `feed ${name}`, feed, node);
      if (!sameShape(feed, node)) throw misfit("tensor_shape", `feed ${name}`, feed, node);
      return widen(feed);
    }
    case "parameter": {
      const { name } = node.attributes;
      const stored = parameters(name);
      if (!sameShape(stored, node)) throw misfit("tensor_shape", `parameter ${name}`, stored, node);
      const data = widen(stored);
      return stored.dtype === node.dtype ? data : round({ shape: node.shape, data }, node.dtype);
    }
    default:
      // The table ties each op to its node; indexing by a union loses that.
      return (KERNELS[node.op] as Kernel<typeof node.op>)(node, inputs);
  }
}

function locate(graph: Graph, name: string): number {
  const id = graph.outputs.get(name) ?? graph.taps.get(name);
  if (id !== undefined) return id;
  const names = [...graph.outputs.keys(), ...graph.taps.keys()];
  const close = nearest(name, names);
  throw new KandinskyError("graph_invalid", {
    what: "cannot interpret the graph",
    seen: `wanted result ${name}`,
    wanted: `an output or tap${names.length > 8 ? "" : `: ${names.join(", ")}`}`,
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

/** How often each value is read, results included, so that it can be dropped after the last time. */
function countUses(
  graph: Graph,
  needed: ReadonlySet<number>,
  results: readonly (readonly [string, number])[],
): Map<number, number> {
  const uses = new Map<number, number>();
  const use = (id: number) => uses.set(id, (uses.get(id) ?? 0) + 1);
  for (const id of needed) graph.nodes[id]!.inputs.forEach(use);
  for (const [, id] of results) use(id);
  return uses;
}

function sameShape(seen: Tensor, node: Node): boolean {
  return seen.shape.join() === node.shape.join();
}

function misfit(
  code: "tensor_shape" | "tensor_dtype",
  where: string,
  seen: Tensor,
  node: Node,
): KandinskyError {
  return new KandinskyError(code, {
    what: "cannot interpret the graph",
    where,
    seen: `${seen.dtype}${formatShape(seen.shape)}`,
    wanted: `${node.dtype}${formatShape(node.shape)}`,
  });
}
