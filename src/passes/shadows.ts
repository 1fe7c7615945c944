import { product } from "../base/mod.ts";
import {
  concat,
  type Graph,
  mul,
  type Node,
  reduceSum,
  reshape,
  rewrite,
  sub,
  type Value,
} from "../graph/mod.ts";
import { removeDeadNodes } from "./split.ts";

/** A graph that also computes how far other weights would change each layer's result. */
export interface ShadowedGraph {
  /** Has one more result, `squares` [n]: in turn every layer's own squares and those of its `others`' differences. */
  readonly graph: Graph;
  readonly layers: readonly { readonly weight: string; readonly others: readonly string[] }[];
}

const LAYERS: ReadonlySet<string> = new Set(["matmul", "conv2d", "convTranspose2d"]);

/**
 * Runs every linear layer and convolution once more on the same input for each of `othersOf` its weight: names of
 * parameters of the same shape. Sums of squares are over the whole result of the layer.
 */
export function shadowLayers(graph: Graph, othersOf: (weight: string) => readonly string[]): ShadowedGraph {
  const layers: { weight: string; others: readonly string[] }[] = [];
  const squares: Value[] = [];
  const shadowed = rewrite(graph, (node, inputs, { builder }) => {
    const chain = LAYERS.has(node.op) ? chainOf(graph, node.inputs[1]!) : undefined;
    const others = chain === undefined ? [] : othersOf(chain.parameter.attributes.name);
    if (chain === undefined || others.length === 0) return undefined;
    const { name, shape, dtype } = chain.parameter.attributes;
    const apply = (operands: readonly Value[]) => builder.apply(node.op, operands, node.attributes as never);
    const own = apply(inputs);
    layers.push({ weight: name, others });
    squares.push(sumOfSquares(own));
    for (const other of others) {
      const weight = chain.shapes.reduce(reshape, builder.parameter(other, shape, dtype));
      squares.push(sumOfSquares(sub(apply([inputs[0]!, weight, ...inputs.slice(2)]), own)));
    }
    return own;
  });
  return { graph: withSquares(shadowed, squares), layers };
}

/** The parameter that an operand is, and the shapes that it was given on the way. */
function chainOf({ nodes }: Graph, id: number) {
  const shapes: (readonly number[])[] = [];
  let node: Node = nodes[id]!;
  while (node.op === "reshape") {
    shapes.unshift(node.shape);
    node = nodes[node.inputs[0]!]!;
  }
  return node.op === "parameter" ? { parameter: node, shapes } : undefined;
}

function sumOfSquares(x: Value): Value {
  return reduceSum(reshape(mul(x, x), [1, product(x.shape)]), 1);
}

function withSquares(graph: Graph, squares: readonly Value[]): Graph {
  const { builder } = squares[0]!;
  builder.output("squares", concat(squares, 0));
  for (const [name, id] of graph.outputs) builder.output(name, builder.value(id));
  return removeDeadNodes(builder.finish());
}
