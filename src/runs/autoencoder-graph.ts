import {
  abs,
  add,
  buildGraph,
  embed,
  type Graph,
  maximum,
  mul,
  slice,
  sub,
  type Value,
} from "../graph/mod.ts";
import {
  type MapShape,
  type MovqConfig,
  movqDecoderGraph,
  movqEncoderGraph,
  movqQuantizerGraph,
} from "../models/mod.ts";
import {
  mean,
  meanAbsolute,
  meanOfRows,
  squared,
  straightThrough,
  VQ_WEIGHTS,
  vqLoss,
} from "../train/mod.ts";

/** What each term counts beside the mean absolute difference. */
const WEIGHTS = { edges: 0.5, codes: 0.05, range: 1 } as const;

/** Latents further from 0 than this are pulled back. */
const RANGE = 1;

/**
 * What an autoencoder is trained on. Inputs: `image` [B,3,H,W] in [-1,1]; `noise` [B,z,h,w], added to the latents before
 * they are decoded; `quantized` [B,1,1,1], 1 for rows that are decoded from the nearest codes instead. Results: `loss` [],
 * `squares` [B], the mean squared differences of the pictures, and `latents` [B,z,h,w] without noise.
 */
export function autoencoderGraph(config: MovqConfig, shape: MapShape): Graph {
  return buildGraph((builder) => {
    const image = builder.input("image", "float32", [
      shape.batch,
      config.inChannels,
      shape.height,
      shape.width,
    ]);
    const latents = embed(builder, movqEncoderGraph(config, shape), { image })["latents"]!;
    const [batch, , height, width] = latents.shape as [number, number, number, number];
    const cells = { batch, height, width };
    const codes = embed(builder, movqQuantizerGraph(config, cells), { latents })["quantized"]!;
    const noisy = add(latents, builder.input("noise", "float32", latents.shape));
    const quantized = builder.input("quantized", "float32", [batch, 1, 1, 1]);
    const decoded = add(noisy, mul(sub(straightThrough(latents, codes), noisy), quantized));
    const result = embed(builder, movqDecoderGraph(config, cells), { latents: decoded })["image"]!;
    const beyond = maximum(add(abs(latents), -RANGE), 0);
    const terms = [
      mul(add(edgeLoss(result, image, 2), edgeLoss(result, image, 3)), WEIGHTS.edges),
      mul(vqLoss(latents, codes, VQ_WEIGHTS.fixed(0.25)), WEIGHTS.codes),
      mul(mean(mul(beyond, beyond)), WEIGHTS.range),
    ];
    const loss = terms.reduce((sum, term) => add(sum, term), meanAbsolute(result, image));
    return { loss, squares: meanOfRows(squared(result, image)), latents };
  });
}

/** How much the steps from pixel to pixel along an axis differ. */
function edgeLoss(a: Value, b: Value, axis: number): Value {
  const steps = (x: Value) => {
    const size = x.shape[axis]!;
    return sub(slice(x, axis, 1, size), slice(x, axis, 0, size - 1));
  };
  return meanAbsolute(steps(a), steps(b));
}
