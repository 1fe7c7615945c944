import type { ProfileName } from "../diffusion/mod.ts";
import {
  add,
  buildGraph,
  embed,
  type Graph,
  type GraphBuilder,
  mul,
  reduceSum,
  reshape,
  type Value,
} from "../graph/mod.ts";
import { textProjectionGraph, type UNetConfig, type UNetShape, unetGraph } from "../models/mod.ts";
import { tensor } from "../tensor/mod.ts";
import { meanOfRows, squared } from "./losses.ts";

/** The learned context of no text, [crossAttentionDim]: a parameter beside those of the U-Net. */
export const NULL_EMBEDDING = "null_embedding";

/** Sizes of one batch. */
export type DiffusionShape = Omit<UNetShape, "steps">;

/**
 * U-Net and text projection as they are trained, together. Inputs: `sample` [B,in,H,W], `timesteps` [1,B],
 * `encoder_hidden_states` [B,L,D], `mask_bias` [B,1,1,L], `pool_weights` [B,1,L]; for `native` also
 * `context_mask` [B,L,1], 1 where the projected text is kept, and `null_mask` [B,L,1], 1 where the null
 * embedding stands. Returns the prediction [B,out,H,W].
 */
export function predictionOf(
  builder: GraphBuilder,
  config: UNetConfig,
  shape: DiffusionShape,
  profile: ProfileName,
): Value {
  const { batch, contextLength } = shape;
  const { context } = embed(builder, textProjectionGraph(config, batch, contextLength));
  const step = builder.constant(tensor("int64", [], BigInt64Array.of(0n)));
  const text = profile === "native" ? withNullEmbedding(builder, config, context!) : context!;
  const { prediction } = embed(builder, unetGraph(config, { ...shape, steps: 1 }), { context: text, step });
  return prediction!;
}

/** native: padded rows are zeros after the projection, and no text is the null embedding in row 0. */
function withNullEmbedding(builder: GraphBuilder, config: UNetConfig, context: Value): Value {
  const [batch, length] = context.shape as [number, number];
  const mask = (name: string) => builder.input(name, "float32", [batch, length, 1]);
  const row = builder.parameter(NULL_EMBEDDING, [config.crossAttentionDim]);
  const none = mul(mask("null_mask"), reshape(row, [1, 1, config.crossAttentionDim]));
  return add(mul(context, mask("context_mask")), none);
}

/**
 * What a diffusion stage trains on: the prediction against `target` [B,out,H,W], squared differences, each row
 * times `loss_weights` [B]. Results: `loss` [], their mean, and `losses` [B], the rows' own without weights.
 */
export function diffusionGraph(config: UNetConfig, shape: DiffusionShape, profile: ProfileName): Graph {
  return buildGraph((builder) => {
    const prediction = predictionOf(builder, config, shape, profile);
    const losses = meanOfRows(squared(prediction, builder.input("target", "float32", prediction.shape)));
    const weights = builder.input("loss_weights", "float32", [shape.batch]);
    return { loss: mul(reduceSum(mul(losses, weights), 0), 1 / shape.batch), losses };
  });
}
