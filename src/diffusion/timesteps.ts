import { floorDiv, roundHalfEven } from "../base/mod.ts";
import type { TimestepSpacing } from "./config.ts";

/**
 * Timesteps of `steps` network passes, falling, as diffusers spaces them (Lin et al. 2023, table 2). Times of
 * "linspace" are whole for every sampler, since the networks were trained on whole ones (diffusers' Euler leaves
 * fractions). For "trailing" diffusers makes one more time, -1, for some step counts (61, 103, ...); here it is left out.
 */
export function gridTimes(
  spacing: TimestepSpacing,
  trainTimesteps: number,
  steps: number,
  offset: number,
): number[] {
  return GRIDS[spacing](trainTimesteps, steps, offset);
}

// The order of operations is NumPy's: it decides which way a timestep that falls on a half is rounded.
const GRIDS: Record<TimestepSpacing, (t: number, steps: number, offset: number) => number[]> = {
  leading: (t, steps, offset) => falling(steps, (i) => i * floorDiv(t, steps) + offset),
  trailing: (t, steps) => {
    const stride = t - t / steps - t;
    return Array.from({ length: steps }, (_, i) => roundHalfEven(t + i * stride) - 1);
  },
  linspace: (t, steps) => {
    const stride = (t - 1) / Math.max(steps - 1, 1);
    return falling(steps, (i) => roundHalfEven(i * stride));
  },
};

function falling(count: number, value: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => value(count - 1 - i));
}

/**
 * Timesteps of the original code: Python's range(T-1, 0, -T//steps). The floor makes the stride larger, so a number
 * of steps that does not divide T gives fewer of them (300 asked, 250 made).
 */
export function nativeTimes(trainTimesteps: number, steps: number): number[] {
  const stride = -floorDiv(-trainTimesteps, steps);
  const times: number[] = [];
  for (let time = trainTimesteps - 1; time > 0; time -= stride) times.push(time);
  return times;
}

/** Timesteps of Kandinsky 3.1 Flash, which was distilled for exactly these. */
export const FLASH_TIMES: readonly number[] = [979, 729, 479, 229];

/**
 * The step at which image-to-image enters a ladder of `steps` (diffusers): strength 1 runs all, strength 0 none.
 * `strength` in [0,1].
 */
export function firstStepForStrength(steps: number, strength: number): number {
  return steps - Math.min(Math.trunc(steps * strength), steps);
}
