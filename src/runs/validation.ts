import { foldIn, type Key } from "../random/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { type DiffusionSamples, diffusionBatch, type Objective } from "../train/mod.ts";
import type { Figures } from "./log.node.ts";

/** Timesteps in the middle of equal parts of the schedule, one a row: the same whatever the key. */
export function timestepGrid(rows: number, count: number): number[] {
  return Array.from({ length: rows }, (_, i) => Math.floor(((i + 0.5) / rows) * count));
}

/**
 * The inputs of samples kept apart: at the grid's timesteps, with the key's noise, all with their captions. Rows beyond the
 * `pictures` themselves go through the grid again.
 */
export function validationFeeds(
  samples: DiffusionSamples,
  pictures: number,
  objective: Objective,
  key: Key,
): Readonly<Record<string, Tensor>> {
  const grid = timestepGrid(pictures, objective.schedule.alphasCumprod.length);
  const times = samples.tokens.map((_, row) => grid[row % pictures]!);
  return diffusionBatch(samples, { ...objective, dropout: 0 }, foldIn(key, NOISE), { given: times }).feeds;
}

const NOISE = 0;

/** Mean of rows' losses over all timesteps, and over the halves of little and of much noise where there are two rows. */
export function validationFigures(losses: ArrayLike<number>): Figures {
  const all = Array.from(losses);
  const half = Math.floor(all.length / 2);
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  if (half === 0) return { loss: mean(all) };
  return {
    loss: mean(all),
    "loss, little noise": mean(all.slice(0, half)),
    "loss, much noise": mean(all.slice(-half)),
  };
}
