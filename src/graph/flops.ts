import { product } from "../base/mod.ts";
import { ITEM_SIZE } from "../tensor/mod.ts";
import type { Graph, Node } from "./graph.ts";
import type { OpName } from "./ops.ts";
import { sequence } from "./shape-rules.ts";

/** Multiply-accumulates of one node, from the shapes of its inputs. */
type Work<K extends OpName> = (node: Node<K>, inputs: readonly Node[]) => number;

/**
 * The operations whose work grows with an inner axis, counted as papers count them. What touches each value
 * a few times (norms, activations, sums) is left out: it is waiting for memory, not arithmetic.
 */
const WORK: { readonly [K in OpName]?: Work<K> } = {
  matmul: (node, [a]) => product(node.shape) * a!.shape.at(node.attributes.transposeA ? -2 : -1)!,
  matmulNBits: (node, [x]) => product(node.shape) * x!.shape.at(-1)!,
  conv2d: (node, [, weight]) => product(node.shape) * product(weight!.shape.slice(1)),
  blockedConv2d: (node, [, weight]) => product(node.shape) * product(weight!.shape.slice(1)),
  conv2dInputGradient: (_, [gradient, weight]) => product(gradient!.shape) * product(weight!.shape.slice(1)),
  conv2dWeightGradient: (node, [, gradient]) => product(gradient!.shape) * product(node.shape.slice(1)),
  // Kernel equals stride: every input value meets each output channel once per cell of the kernel.
  convTranspose2d: (_, [x, weight]) => product(x!.shape) * product(weight!.shape.slice(1)),
  attention: ({ attributes }, [q, k, v]) => {
    const queries = sequence(q!, attributes.queries);
    const values = sequence(v!, attributes.keys);
    const keys = sequence(k!, attributes.keys);
    return queries.batch * queries.length * keys.length * (queries.channels + values.channels);
  },
};

/** Floating point operations of one run: two for each multiply-accumulate of products, convolutions and attention. */
export function graphFlops(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => {
    const work = WORK[node.op] as Work<OpName> | undefined;
    if (work === undefined) return sum;
    const inputs = node.inputs.map((id) => graph.nodes[id]!);
    return sum + 2 * work(node, inputs);
  }, 0);
}

/** Operations whose result is their input under another shape, so that it takes no memory of its own. */
const VIEWS: ReadonlySet<OpName> = new Set(["reshape", "detach", "after"]);
const STORED: ReadonlySet<OpName> = new Set(["parameter", "constant"]);

/**
 * The most bytes that inputs and intermediate values of one run take at once, if each is freed after its last
 * use; the scores of an attention with a bias count while it runs (without one the executor goes through the keys
 * in pieces). Weights and what is computed from weights alone do not count. An estimate: the executor may reuse buffers in place or need some to re-lay values.
 */
export function peakActivationBytes(graph: Graph): number {
  const { nodes } = graph;
  const fixed = nodes.map(() => false);
  // The node that owns the memory of each value, and the last node that reads it.
  const owner = nodes.map((_, id) => id);
  const lastUse = nodes.map((_, id) => id);
  nodes.forEach((node, id) => {
    fixed[id] = STORED.has(node.op) || (node.inputs.length > 0 && node.inputs.every((input) => fixed[input]));
    if (VIEWS.has(node.op)) owner[id] = owner[node.inputs[0]!]!;
    for (const input of node.inputs) lastUse[owner[input]!] = id;
  });
  for (const id of graph.outputs.values()) lastUse[owner[id]!] = nodes.length;

  const freedAfter = new Map<number, number>();
  let live = 0;
  let peak = 0;
  nodes.forEach((node, id) => {
    if (!fixed[id] && owner[id] === id) {
      const bytes = product(node.shape) * ITEM_SIZE[node.dtype];
      live += bytes;
      freedAfter.set(lastUse[id]!, (freedAfter.get(lastUse[id]!) ?? 0) + bytes);
    }
    peak = Math.max(peak, live + scratchBytes(node, nodes));
    live -= freedAfter.get(id) ?? 0;
  });
  return peak;
}

function scratchBytes(node: Node, nodes: readonly Node[]): number {
  if (node.op !== "attention" || node.inputs.length < 4) return 0;
  const { heads, queries, keys } = node.attributes;
  const { batch, length } = sequence(nodes[node.inputs[0]!]!, queries);
  const scores = batch * heads * length * sequence(nodes[node.inputs[1]!]!, keys).length;
  return scores * ITEM_SIZE[node.dtype];
}
