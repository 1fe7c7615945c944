import type { OpAttributes, OpName, Signature } from "./ops.ts";

/** One operation applied to earlier nodes, named by their place in the list. */
export type Node<K extends OpName = OpName> = {
  [P in K]: Signature & {
    readonly op: P;
    readonly attributes: OpAttributes[P];
    readonly inputs: readonly number[];
  };
}[K];

/**
 * A computation: nodes in an order in which every node follows its inputs, and the results by name.
 * `taps` names places inside, such as `down_blocks.0`, which can be asked for as results and which
 * messages use to say where a node is. Never changed after it was made: passes return new graphs.
 */
export interface Graph {
  readonly nodes: readonly Node[];
  readonly outputs: ReadonlyMap<string, number>;
  readonly taps: ReadonlyMap<string, number>;
}

/** All nodes of one operation. */
export function nodesOf<K extends OpName>(graph: Graph, op: K): Node<K>[] {
  return graph.nodes.filter((node) => node.op === op) as Node[] as Node<K>[];
}

/** A weight that a graph needs: its checkpoint key and full shape. */
export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The weights of a graph in the order of their first use. */
export function parametersOf(graph: Graph): ParameterShape[] {
  return nodesOf(graph, "parameter").map(({ attributes: { name, shape } }) => ({ name, shape }));
}

/** The weights [out,in...] of a graph's linear layers and convolutions, which low-rank adapters can change. */
export function layerWeightsOf(graph: Graph): ParameterShape[] {
  const ids = graph.nodes.flatMap(({ op, inputs }) => (LAYERS.has(op) ? [inputs[1]!] : []));
  const roots = ids.map((id) => graph.nodes[rootOf(graph, id)]!);
  const named = roots.flatMap((node) => (node.op === "parameter" ? [node.attributes] : []));
  return [...new Map(named.map(({ name, shape }) => [name, { name, shape }])).values()];
}

const LAYERS: ReadonlySet<OpName> = new Set(["matmul", "conv2d"]);

function rootOf({ nodes }: Graph, id: number): number {
  let at = id;
  while (nodes[at]!.op === "reshape") at = nodes[at]!.inputs[0]!;
  return at;
}

/**
 * Where a node is, in words a reader of the model knows: its own name, the parameter it uses, or the nearest
 * tap, parameter or input before it.
 */
export function describeNode(graph: Graph, id: number): string {
  const place = placeOf(graph, id);
  return `${graph.nodes[id]!.op} %${id}${place === undefined ? "" : ` (${place})`}`;
}

function placeOf(graph: Graph, id: number): string | undefined {
  const names = new Map([...graph.taps].map(([name, at]) => [at, name]));
  graph.nodes.forEach((node, at) => {
    if (node.op === "parameter" || node.op === "input") names.set(at, node.attributes.name);
  });
  const used = graph.nodes[id]!.inputs.find((input) => graph.nodes[input]?.op === "parameter");
  const own = names.get(id) ?? (used === undefined ? undefined : names.get(used));
  if (own !== undefined) return own;
  const seen = new Set<number>();
  let queue: readonly number[] = [id];
  while (queue.length > 0) {
    const next: number[] = [];
    for (const at of queue) {
      const name = names.get(at);
      if (name !== undefined) return `after ${name}`;
      if (seen.has(at)) continue;
      seen.add(at);
      // A broken graph may name nodes that do not exist; it is described all the same.
      next.push(...(graph.nodes[at]?.inputs ?? []));
    }
    queue = next;
  }
  return undefined;
}
