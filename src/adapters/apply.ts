import { product as sizeOf } from "../base/mod.ts";
import type { TensorEntry } from "../checkpoint/mod.ts";
import {
  add,
  type Graph,
  type GraphBuilder,
  matmul,
  mul,
  type ParameterShape,
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
  const named = ({ name, shape }: TensorEntry): ParameterShape => ({ name: `lora:${hash}:${name}`, shape });
  const entries = layers
    .flatMap(({ down, up }) => [down, up])
    .map((entry) => [named(entry).name, entry] as const);
  const changes = layers.map(({ target, down, up, scale }) => ({
    target,
    down: named(down),
    up: named(up),
    scale: weight * scale,
  }));
  return { id: `${hash}:${weight}`, entries: new Map(entries), pass: lowRankPass(changes) };
}

/** A change of one weight by two small ones, which are parameters: W + scale * up * down. */
export interface LowRankChange {
  /** The weight by its checkpoint key, [out,in...]. */
  readonly target: string;
  /** [r,in...]. */
  readonly down: ParameterShape;
  /** [out,r]; axes of one may follow. */
  readonly up: ParameterShape;
  readonly scale: number;
}

/**
 * Puts a sum in the place of every weight that is changed; a scale of 0 leaves it. To draw, the sum is over weights
 * alone and folded once; to train, the small weights get derivatives through it.
 */
export function lowRankPass(changes: readonly LowRankChange[]): Pass {
  // Without a rewrite the graph is the model's own, and so is every bit of the picture.
  const acting = new Map(changes.filter(({ scale }) => scale !== 0).map((one) => [one.target, one]));
  const run = (graph: Graph) =>
    rewrite(graph, (node, _, { builder }) => {
      const one = node.op === "parameter" ? acting.get(node.attributes.name) : undefined;
      if (one === undefined) return undefined;
      const stored = builder.apply(node.op, [], node.attributes as never);
      return add(stored, differenceOf(builder, one, node.shape));
    });
  return { name: "lora", run: acting.size === 0 ? (graph) => graph : run };
}

/** scale * up * down in the shape of the weight. */
function differenceOf(
  builder: GraphBuilder,
  { down, up, scale }: LowRankChange,
  shape: readonly number[],
): Value {
  const matrix = ({ name, shape: stored }: ParameterShape, rows: number, columns: number) =>
    reshape(builder.parameter(name, stored), [rows, columns]);
  const [out, ...inner] = shape as [number, ...number[]];
  const rank = down.shape[0]!;
  const product = matmul(matrix(up, out, rank), matrix(down, rank, sizeOf(inner)));
  return reshape(mul(product, scale), shape);
}
