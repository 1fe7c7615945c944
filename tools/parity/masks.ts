import { type Tensor, tensor } from "../../src/tensor/mod.ts";

/** What the original adds to masked scores: a key gets weight 0, unless all are masked. */
export const LOWEST = -3.4028234663852886e38;

/** What diffusers adds to masked scores: where all keys are masked it cancels (trap 1). */
export const DIFFUSERS_MASKED = -10000;

/** A mask [B,L] of 1 (keep) and 0 as the bias [B,1,1,L]. */
export function additiveMask({ shape, data }: Tensor, masked: number): Tensor<"float32"> {
  const [batch, length] = shape as [number, number];
  const bias = Float32Array.from(data as Int32Array, (keep) => (keep === 0 ? masked : 0));
  return tensor("float32", [batch, 1, 1, length], bias);
}

/** Weights [B,1,L] of the mean of all rows: both implementations average masked rows too. */
export function meanWeights([batch, length]: readonly [number, number]): Tensor<"float32"> {
  return tensor("float32", [batch, 1, length], new Float32Array(batch * length).fill(1 / length));
}
