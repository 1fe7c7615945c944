import { concat, type Graph, type Node, rewrite, slice, useCounts, type Value } from "../graph/mod.ts";
import { removeDeadNodes, type SplitGraph } from "./split.ts";

/** The name under which joined tables cross from prologue to body. */
const JOINED = "carried_tables";

/** Tables [N,A,n,...] that one index takes a row from, and where each lies in their join along axis 2. */
interface Family {
  readonly index: number;
  readonly members: ReadonlyMap<string, { readonly start: number; readonly end: number }>;
}

/**
 * Joins all carried tables of which the body only takes the row of one and the same index: one value crosses
 * instead of hundreds, and the body takes one row and cuts it. For the U-Net these are the scales and shifts of
 * every norm for all steps.
 */
export function joinTables({ prologue, body }: SplitGraph): SplitGraph {
  const family = familyOf(body);
  if (family === undefined || family.members.size < 2) return { prologue, body };
  const names = [...family.members.keys()];
  const outputs = new Map([...prologue.outputs].filter(([name]) => !family.members.has(name)));
  let joined: Value | undefined;
  const last = Math.max(...names.map((name) => prologue.outputs.get(name)!));
  const withJoin = rewrite(prologue, (node, inputs, { builder, id, copyOf }) => {
    if (id !== last) return undefined;
    const copy = builder.apply(node.op, inputs, node.attributes as never);
    const tables = names.map((name) => {
      const table = prologue.outputs.get(name)!;
      return table === id ? copy : copyOf(table);
    });
    joined = concat(tables, 2);
    builder.output(JOINED, joined);
    return copy;
  });
  const kept = [...outputs.keys(), JOINED].map((name) => [name, withJoin.outputs.get(name)!] as const);
  return {
    prologue: removeDeadNodes({ ...withJoin, outputs: new Map(kept) }),
    body: takeRows(body, family, joined!.shape, joined!.dtype),
  };
}

function takeRows(body: Graph, family: Family, shape: readonly number[], dtype: Value["dtype"]): Graph {
  let row: Value | undefined;
  const taken = rewrite(body, (node, _, { builder, copyOf }) => {
    const place = placeOf(body, family, node);
    if (place === undefined) return undefined;
    row ??= builder.apply("gather", [builder.input(JOINED, dtype, shape), copyOf(family.index)], {});
    return slice(row, 1, place.start, place.end);
  });
  return removeDeadNodes(taken);
}

function placeOf(body: Graph, { members }: Family, node: Node) {
  const table = node.op === "gather" ? body.nodes[node.inputs[0]!]! : undefined;
  return table?.op === "input" ? members.get(table.attributes.name) : undefined;
}

/** All carried tables used by nothing but a gather by the same scalar, alike but for axis 2. */
function familyOf(body: Graph): Family | undefined {
  const uses = useCounts(body);
  const members = new Map<string, { start: number; end: number }>();
  let first: { index: number; key: string } | undefined;
  let end = 0;
  for (const node of body.nodes) {
    if (node.op !== "gather") continue;
    const [tableId, index] = node.inputs as [number, number];
    const table = body.nodes[tableId]!;
    if (table.op !== "input" || uses[tableId] !== 1 || table.shape.length < 3) continue;
    if (body.nodes[index]!.shape.length !== 0 || body.nodes[index]!.op !== "input") continue;
    const key = `${index} ${table.dtype} ${table.shape.filter((_, axis) => axis !== 2)}`;
    first ??= { index, key };
    if (key !== first.key) continue;
    members.set(table.attributes.name, { start: end, end: end + table.shape[2]! });
    end += table.shape[2]!;
  }
  return first && { index: first.index, members };
}
