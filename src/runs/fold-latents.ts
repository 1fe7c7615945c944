import { product } from "../base/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";

/** How one channel of the latents is moved: its value becomes (value - mean) / scale. */
export interface ChannelScale {
  readonly mean: number;
  readonly scale: number;
}

/** So many of the latents come to lie within [-1,1]. */
const WITHIN = 0.999;

/** Mean of each channel, and the distance from it that 99.9 % stay within, of latents [B,z,h,w]. */
export function channelScales(latents: readonly Tensor<"float32">[]): ChannelScale[] {
  const [, channels] = latents[0]!.shape as [number, number, number, number];
  return Array.from({ length: channels }, (_, channel) => {
    const values = latents.flatMap(({ shape, data }) => {
      const size = product(shape.slice(2));
      return Array.from({ length: shape[0]! }, (__, row) => {
        const start = (row * channels + channel) * size;
        return Array.from(data.subarray(start, start + size));
      }).flat();
    });
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const distances = values.map((x) => Math.abs(x - mean)).sort((a, b) => a - b);
    const scale = distances[Math.min(values.length - 1, Math.floor(WITHIN * values.length))]!;
    return { mean, scale: scale > 0 ? scale : 1 };
  });
}

/**
 * The weights of a MoVQ whose latents are moved by these scales, pictures staying what they are: `quant_conv` makes them,
 * `post_quant_conv` and the `conv_y` and `conv_b` of every spatial norm read them, and the codes move along.
 */
export function foldLatents(
  weights: ReadonlyMap<string, Tensor>,
  scales: readonly ChannelScale[],
): Map<string, Tensor> {
  const folded = new Map(weights);
  const change = (name: string, make: (data: Float32Array) => void) => {
    const { shape, data } = weights.get(name)!;
    const copy = Float32Array.from(data as Float32Array);
    make(copy);
    folded.set(name, float32(shape, copy));
  };
  const channels = scales.length;
  const at = (i: number) => scales[i]!;
  change("quant_conv.weight", (data) => {
    const inputs = data.length / channels;
    for (const i of data.keys()) data[i]! /= at(Math.floor(i / inputs)).scale;
  });
  change("quant_conv.bias", (data) => {
    for (const i of data.keys()) data[i] = (data[i]! - at(i).mean) / at(i).scale;
  });
  change("quantize.embedding.weight", (data) => {
    for (const i of data.keys()) data[i] = (data[i]! - at(i % channels).mean) / at(i % channels).scale;
  });
  for (const name of weights.keys()) {
    const reader = READERS.exec(name)?.[1];
    if (reader === undefined) continue;
    const { data: matrix } = weights.get(name)!;
    change(`${reader}.bias`, (data) => {
      for (const out of data.keys()) {
        for (const [i, { mean }] of scales.entries()) data[out]! += Number(matrix[out * channels + i]) * mean;
      }
    });
    change(name, (data) => {
      for (const i of data.keys()) data[i]! *= at(i % channels).scale;
    });
  }
  return folded;
}

/** Convolutions 1x1 that read the latents. */
const READERS = /^(post_quant_conv|.*\.conv_[yb])\.weight$/;
