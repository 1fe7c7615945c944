import { type Graph, type Node, nodesOf } from "../graph/mod.ts";
import {
  type MovqConfig,
  movqDecoderGraph,
  movqEncoderGraph,
  type T5Config,
  t5Graph,
  textProjectionGraph,
  type UNetConfig,
  unetGraph,
} from "../models/mod.ts";
import { hasOrder, type RowOrder } from "../quant/mod.ts";

/** A weight that can be rounded in blocks, and along which order of its values. */
export interface LayerWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly order: RowOrder;
  /** Whether rows of it are looked up. */
  readonly isTable: boolean;
}

/** Which part of a model, with its configuration. */
export type PartConfig =
  | { readonly name: "text_encoder"; readonly config: T5Config }
  | { readonly name: "unet"; readonly config: UNetConfig }
  | { readonly name: "movq"; readonly config: MovqConfig };

/** The weights of linear layers, convolutions and tables of a part, in the order of the graph. */
export function layerWeights(part: PartConfig): LayerWeight[] {
  const found = GRAPHS[part.name](part.config as never).flatMap(weightsOf);
  return [...new Map(found.map((weight) => [weight.name, weight])).values()];
}

/** The smallest graphs that use every weight. */
const GRAPHS: {
  readonly [P in PartConfig["name"]]: (config: Extract<PartConfig, { name: P }>["config"]) => Graph[];
} = {
  text_encoder: (config) => [t5Graph(config, 1, 1, { from: 0, to: config.numLayers })],
  unet: (config) => {
    const side = 2 ** (config.blockOutChannels.length - 1);
    const shape = { batch: 1, height: side, width: side, contextLength: 1, steps: 1 };
    return [textProjectionGraph(config, 1, 1), unetGraph(config, shape)];
  },
  movq: (config) => {
    const side = 2 ** (config.blockOutChannels.length - 1);
    return [
      movqEncoderGraph(config, { batch: 1, height: side, width: side }),
      movqDecoderGraph(config, { batch: 1, height: 1, width: 1 }),
    ];
  },
};

/** Which operand is the weight. */
const WEIGHT_OPERAND: Partial<Record<Node["op"], number>> = {
  matmul: 1,
  conv2d: 1,
  convTranspose2d: 1,
  gather: 0,
};

function weightsOf(graph: Graph): LayerWeight[] {
  const used = (["gather", "matmul", "conv2d", "convTranspose2d"] as const).flatMap((op) =>
    nodesOf(graph, op),
  );
  return used.flatMap((node) => {
    const weight = rootOf(graph, node.inputs[WEIGHT_OPERAND[node.op]!]!);
    if (weight.op !== "parameter") return [];
    const { name, shape } = weight.attributes;
    const order = orderOf(node, shape);
    return shape.length >= 2 && hasOrder(order, shape)
      ? [{ name, shape, order, isTable: node.op === "gather" }]
      : [];
  });
}

function orderOf({ op }: Node, shape: readonly number[]): RowOrder {
  if (op === "convTranspose2d") return "transposed";
  return shape.length === 4 && shape[2]! * shape[3]! > 1 ? "taps" : "rows";
}

function rootOf({ nodes }: Graph, id: number): Node {
  let node = nodes[id]!;
  while (node.op === "reshape") node = nodes[node.inputs[0]!]!;
  return node;
}
