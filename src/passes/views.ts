import {
  broadcast,
  concat,
  expand,
  type Graph,
  type GraphBuilder,
  type Node,
  type OpName,
  reshape,
  rewrite,
  transpose,
  type Value,
} from "../graph/mod.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * Takes away what only moves values to and fro: transpositions that undo each other or move nothing, reshapes of reshapes, and
 * repeated values where the operation that reads them repeats by itself.
 */
export const joinViews: Pass = {
  name: "join-views",
  run: (graph: Graph) =>
    removeDeadNodes(
      rewrite(graph, (node, inputs, { builder }) => {
        if (node.op === "transpose") return transposed(builder, node, inputs[0]!);
        if (node.op === "reshape") return reshaped(builder, node, inputs[0]!);
        if (node.op === "gather") return onlyRow(node, inputs[0]!);
        if (node.op === "add") {
          const joined = joinedParts(builder, inputs);
          if (joined !== undefined) return joined;
        }
        return ELEMENTWISE.has(node.op) ? unrepeated(builder, node, inputs) : undefined;
      }),
    ),
};

const ELEMENTWISE: ReadonlySet<OpName> = new Set(["add", "sub", "mul", "div", "maximum"]);

function transposed(
  builder: GraphBuilder,
  { attributes, shape }: Node<"transpose">,
  x: Value,
): Value | undefined {
  const { node, inputs } = builder.definition(x);
  const isTwice = node.op === "transpose";
  const order = isTwice ? attributes.order.map((axis) => node.attributes.order[axis]!) : attributes.order;
  const source = isTwice ? inputs[0]! : x;
  if (keepsOrder(source.shape, order)) return reshape(source, shape);
  return isTwice ? transpose(source, order) : undefined;
}

/** Whether only axes of one move, so that the values lie as they lay. */
function keepsOrder(shape: readonly number[], order: readonly number[]): boolean {
  const long = order.filter((axis) => shape[axis] !== 1);
  return long.every((axis, i) => i === 0 || long[i - 1]! < axis);
}

function reshaped(builder: GraphBuilder, { shape }: Node<"reshape">, x: Value): Value | undefined {
  const { node, inputs } = builder.definition(x);
  return node.op === "reshape" ? reshape(inputs[0]!, shape) : undefined;
}

/** Of a table of one row there is one row to take. */
function onlyRow({ shape }: Node<"gather">, table: Value): Value | undefined {
  return table.shape[0] === 1 ? expand(reshapeRow(table, shape), shape) : undefined;
}

function reshapeRow(table: Value, shape: readonly number[]): Value {
  const row = table.shape.slice(1);
  const lead = shape.length - row.length;
  return reshape(table, [...new Array<number>(lead).fill(1), ...row]);
}

/** Two parts of one axis, each put into zeros of its whole, are the whole when one ends where the other begins. */
function joinedParts(builder: GraphBuilder, inputs: readonly Value[]): Value | undefined {
  const [a, b] = inputs.map((x) => builder.definition(x)) as [Made, Made];
  if (a.node.op !== "place" || b.node.op !== "place") return undefined;
  const [first, second] = [a, b].sort((x, y) => startOf(x) - startOf(y)) as [Made, Made];
  const { axis, step, size, start } = (first.node as Node<"place">).attributes;
  const other = (second.node as Node<"place">).attributes;
  const [before, after] = [first.inputs[0]!, second.inputs[0]!];
  const isWhole =
    start === 0 &&
    step === 1 &&
    other.step === 1 &&
    other.axis === axis &&
    other.start === before.shape[axis];
  const isEnd = other.start + after.shape[axis]! === size;
  return isWhole && isEnd ? concat([before, after], axis) : undefined;
}

type Made = ReturnType<GraphBuilder["definition"]>;

function startOf({ node }: Made): number {
  return (node as Node<"place">).attributes.start;
}

/** Reads what was repeated; with a single number as the other operand the repetition comes after. */
function unrepeated(builder: GraphBuilder, node: Node, inputs: readonly Value[]): Value | undefined {
  const sources = inputs.map((x) => {
    const made = builder.definition(x);
    return made.node.op === "expand" ? made.inputs[0]! : x;
  });
  if (sources.every((source, i) => source.id === inputs[i]!.id)) return undefined;
  const apply = (operands: readonly Value[]) => builder.apply(node.op, operands, node.attributes as never);
  for (const operands of [sources, [sources[0]!, inputs[1]!], [inputs[0]!, sources[1]!]]) {
    const shape = broadcast(operands[0]!.shape, operands[1]!.shape);
    if (shape.join() === node.shape.join()) return apply(operands);
  }
  const isNumber = inputs.some(({ shape }) => shape.length === 0);
  return isNumber ? expand(apply(sources), node.shape) : undefined;
}
