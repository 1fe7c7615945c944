import { clamp } from "../base/mod.ts";
import { type Latent, perSample } from "./arithmetic.ts";
import type { SchedulerConfig } from "./config.ts";

/** Keeps a predicted clean latent in the range of trained ones. */
export type Limiter = (x0: Latent) => Latent;

export const unlimited: Limiter = (x0) => x0;

/** Clips to [-range, range]. */
export function hardClip(range: number): Limiter {
  return (x0) => perSample(x0, (sample) => sample.map((value) => clamp(value, -range, range)));
}

/**
 * Dynamic threshold (Saharia et al. 2022): each sample is clipped to the `quantile` of its absolute values, but no
 * tighter than 1 and no wider than `max`, and divided by that bound.
 */
export function dynamicThreshold(quantile: number, max = Number.POSITIVE_INFINITY): Limiter {
  return (x0) =>
    perSample(x0, (sample) => {
      const bound = clamp(absoluteQuantile(sample, quantile), 1, max);
      return sample.map((value) => clamp(value, -bound, bound) / bound);
    });
}

/** Quantile of the absolute values with linear interpolation between neighbours in order. */
function absoluteQuantile(values: Float32Array, quantile: number): number {
  const sorted = values.map(Math.abs).sort();
  const rank = quantile * (sorted.length - 1);
  const below = Math.floor(rank);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (rank - below);
}

/** The limiter a scheduler file asks for; its dynamic threshold wins over its clip, as in diffusers. */
export function limiterOf(config: SchedulerConfig): Limiter {
  if (config.dynamicThreshold) {
    return dynamicThreshold(config.dynamicThresholdQuantile, config.dynamicThresholdMax);
  }
  return config.clip ? hardClip(config.clipRange) : unlimited;
}
