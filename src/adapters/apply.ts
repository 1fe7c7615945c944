import type { TensorEntry } from "../checkpoint/mod.ts";
import {
  add,
  type Graph,
  type GraphBuilder,
  matmul,
  mul,
  reshape,
  rewrite,
  type Value,
} from "../graph/mod.ts";
import type { Pass } from "../passes/mod.ts";
import type { LoraLayer } from "./lora.ts";

/** What is added to a model: weights of its own, and how they change the model's graphs. */
export interface Adapter {
  /** Tells adapters of different effect apart: names the file's content and its weight. */
  readonly id: string;
  /** Its tensors by the names that its rewrites give them; the names hold the content's hash. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly pass: Pass;
}

/** The LoRA of a file as an adapter of this weight: 1 is as trained, 0 changes nothing, negative is the opposite. */
export function loraAdapter(hash: string, layers: readonly LoraLayer[], weight: number): Adapter {
  const nameOf = ({ name }: TensorEntry) => `lora:${hash}:${name}`;
  const byTarget = new Map(layers.map((layer) => [layer.target, layer]));
  const entries = layers
    .flatMap(({ down, up }) => [down, up])
    .map((entry) => [nameOf(entry), entry] as const);
  const run = (graph: Graph) =>
    rewrite(graph, (node, _, { builder }) => {
      const layer = node.op === "parameter" ? byTarget.get(node.attributes.name) : undefined;
      if (layer === undefined) return undefined;
      const stored = builder.apply(node.op, [], node.attributes as never);
      return add(stored, change(builder, layer, weight, node.shape, nameOf));
    });
  return {
    id: `${hash}:${weight}`,
    entries: new Map(entries),
    // Without a rewrite the graph is the model's own, and so is every bit of the picture.
    pass: { name: "lora", run: weight === 0 ? (graph) => graph : run },
  };
}

/** weight * scale * up * down in the shape of the weight. */
function change(
  builder: GraphBuilder,
  { down, up, rank, scale }: LoraLayer,
  weight: number,
  shape: readonly number[],
  nameOf: (entry: TensorEntry) => string,
): Value {
  const matrix = (entry: TensorEntry, rows: number, columns: number) =>
    reshape(builder.parameter(nameOf(entry), entry.shape), [rows, columns]);
  const [out, ...inner] = shape as [number, ...number[]];
  const columns = inner.reduce((size, side) => size * side, 1);
  const product = matmul(matrix(up, out, rank), matrix(down, rank, columns));
  return reshape(mul(product, weight * scale), shape);
}
