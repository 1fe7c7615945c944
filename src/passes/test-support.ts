import { product } from "../base/mod.ts";
import { type Graph, type Node, nodesOf, verifyGraph } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import type { MovqConfig, T5Config, UNetConfig } from "../models/mod.ts";
import { foldIn, keyOf, normal } from "../random/mod.ts";
import { cast, type DType, type Tensor, tensor } from "../tensor/mod.ts";

/** Channels that blocks of 8 and of 16 divide everywhere but at the ends. */
export const SMALL_UNET: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  blockOutChannels: [32, 64, 64, 64],
  layersPerBlock: 2,
  groups: 4,
  attentionHeadDim: 16,
  timeEmbeddingDim: 32,
  crossAttentionDim: 32,
  encoderHidDim: 20,
};

export const SMALL_MOVQ: MovqConfig = {
  inChannels: 3,
  outChannels: 3,
  blockOutChannels: [32, 32, 64],
  layersPerBlock: 1,
  latentChannels: 4,
  numVqEmbeddings: 16,
  vqEmbedDim: 4,
  normNumGroups: 8,
  attentionLevels: [false, false, true],
};

export const SMALL_T5: T5Config = {
  dModel: 16,
  dKv: 8,
  numHeads: 4,
  dFf: 48,
  numLayers: 2,
  vocabSize: 32,
  numBuckets: 8,
  maxDistance: 20,
  epsilon: 1e-6,
};

/**
 * The graph with every float32 value as float64: what two graphs compute then differs only by the order of
 * sums, so that equality can be asked for to nine digits and more.
 */
export function inFloat64(graph: Graph): Graph {
  const wide = (dtype: DType): DType => (dtype === "float32" ? "float64" : dtype);
  const nodes = graph.nodes.map((node) => {
    const attributes: Readonly<Record<string, unknown>> = node.attributes;
    const dtype = "dtype" in attributes ? { dtype: wide(attributes["dtype"] as DType) } : {};
    const value = node.op === "constant" ? { value: cast(node.attributes.value, wide(node.dtype)) } : {};
    return { ...node, dtype: wide(node.dtype), attributes: { ...attributes, ...dtype, ...value } } as Node;
  });
  return verifyGraph({ ...graph, nodes }, "widening to float64");
}

/** Random values for a name: the same for the same name and shape. Weights are small enough to keep sums tame. */
export function randomTensor(name: string, shape: readonly number[], size = 1): Tensor<"float64"> {
  const hash = [...name].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 7);
  const data = Float64Array.from(normal(foldIn(keyOf(5), hash), shape).data, (x) => x * size);
  return tensor("float64", shape, data);
}

/** Weights by name for any graph; a weight of many inputs is small. */
export function randomWeights(graph: Graph): (name: string) => Tensor {
  const shapes = new Map(
    nodesOf(graph, "parameter").map(({ attributes, shape }) => [attributes.name, shape]),
  );
  return (name) => {
    const shape = shapes.get(name)!;
    return randomTensor(name, shape, 1 / Math.sqrt(product(shape.slice(1))));
  };
}

/** Values for every input; integers count up from 0. */
export function randomFeeds(graph: Graph): Record<string, Tensor> {
  return Object.fromEntries(
    nodesOf(graph, "input").map(({ attributes: { name, dtype, shape } }) => [
      name,
      dtype === "int64"
        ? tensor(
            dtype,
            shape,
            BigInt64Array.from({ length: product(shape) }, (_, i) => BigInt(i)),
          )
        : randomTensor(`feed ${name}`, shape),
    ]),
  );
}

/** All results of a graph in float64, from the values of the graph's own inputs and weights unless given. */
export function evaluate(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>> = randomFeeds(graph),
  weights: (name: string) => Tensor = randomWeights(graph),
): Map<string, Tensor> {
  return interpret(inFloat64(graph), feeds, weights);
}

/** Largest difference over the largest expected magnitude, of all results; Infinity where shapes or names differ. */
export function worstDifference(
  seen: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
): number {
  if ([...seen.keys()].join() !== [...expected.keys()].join()) return Number.POSITIVE_INFINITY;
  return Math.max(...[...expected].map(([name, want]) => relativeDifference(seen.get(name)!, want)));
}

function relativeDifference(seen: Tensor, expected: Tensor): number {
  if (seen.shape.join() !== expected.shape.join()) return Number.POSITIVE_INFINITY;
  const [a, b] = [cast(seen, "float64").data, cast(expected, "float64").data];
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    // A value that is not a number must not pass for a small difference.
    if (!Number.isFinite(a[i]) || !Number.isFinite(b[i])) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return largest === 0 ? Number.POSITIVE_INFINITY : difference / largest;
}
