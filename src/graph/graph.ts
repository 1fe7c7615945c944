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

/**
 * Where a node is, in words a reader of the model knows: the parameter it uses, or the nearest tap or
 * parameter before it.
 */
export function describeNode(graph: Graph, id: number): string {
  const node = graph.nodes[id]!;
  const place = placeOf(graph, id);
  return `${node.op} %${id}${place === undefined ? "" : ` (${place})`}`;
}

function placeOf(graph: Graph, id: number): string | undefined {
  const tapsById = new Map([...graph.taps].map(([name, at]) => [at, name]));
  const seen = new Set<number>();
  let queue = [id];
  for (let depth = 0; queue.length > 0; depth++) {
    const next: number[] = [];
    for (const at of queue) {
      if (seen.has(at)) continue;
      seen.add(at);
      const node = graph.nodes[at]!;
      const name = node.op === "parameter" || node.op === "input" ? node.attributes.name : tapsById.get(at);
      if (name !== undefined) return depth <= 1 ? name : `after ${name}`;
      next.push(...node.inputs);
    }
    queue = next;
  }
  return undefined;
}
