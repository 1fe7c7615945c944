import { KandinskyError } from "../base/mod.ts";
import type { SchedulerConfig } from "./config.ts";
import {
  CLEAN,
  levelAt,
  levelWithSigma,
  type NoiseLevel,
  type Schedule,
  scheduleOf,
  sigmaOf,
} from "./schedule.ts";
import { FLASH_TIMES, gridTimes, nativeTimes } from "./timesteps.ts";

/**
 * Noise levels from the noisiest down, one more than there are steps: step i goes from level i to level i + 1, and
 * the network is evaluated once at each level but the last.
 */
export type Ladder = readonly NoiseLevel[];

/** The times at which a sampler will evaluate the network, in order: known before the first step. */
export function evaluationTimes(ladder: Ladder): number[] {
  return ladder.slice(0, -1).map((level) => level.time);
}

/** How sigma-based samplers place their levels: at evenly spaced timesteps, or by the formula of Karras et al. */
export const SPACINGS = ["uniform", "karras"] as const;
/** The name of a way to lay out noise levels. */
export type Spacing = (typeof SPACINGS)[number];

/** Lays out the levels of a number of steps. */
export type LadderPlan = (config: SchedulerConfig, steps: number) => Ladder;

/** The model's own timestep grid, ending clean. */
export const gridLadder: LadderPlan = (config, steps) => [...gridLevels(config, steps), CLEAN];

/** As `gridLadder`, but DDIM may end at the first trained level (`set_alpha_to_one` false). */
export const ddimLadder: LadderPlan = (config, steps) => [
  ...gridLevels(config, steps),
  config.ddimEndsClean ? CLEAN : levelAt(scheduleOf(config), 0),
];

/** Grid of diffusers' multistep solvers: one step more is laid out and the least noisy level left out. */
export const multistepLadder: LadderPlan = (config, steps) =>
  config.timestepSpacing === "trailing"
    ? gridLadder(config, steps)
    : [...gridLevels(config, steps + 1).slice(0, -1), CLEAN];

/** Grid of the original code: from the last timestep, ending at timestep 0, which is not quite clean. */
export const nativeLadder: LadderPlan = (config, steps) =>
  levels(scheduleOf(config), [...nativeTimes(config.trainTimesteps, steps), 0]);

/** The four levels of Flash; `steps` has no say. */
export const flashLadder: LadderPlan = (config) => [...levels(scheduleOf(config), FLASH_TIMES), CLEAN];

/**
 * Karras spacing between the ends of the model's own grid, as diffusers' Euler sampler has it. The ends of the whole
 * schedule would not do: the cosine schedule reaches sigma 20,291, and most steps would be spent where nothing shows.
 */
export const karrasLadder: LadderPlan = (config, steps) => {
  const grid = gridLevels(config, steps);
  return [...karrasLevels(scheduleOf(config), grid[0]!, grid.at(-1)!, steps), CLEAN];
};

/** `steps` levels from `first` to `last`, evenly spaced in sigma^(1/7) (Karras et al. 2022, equation 5). */
export function karrasLevels(
  schedule: Schedule,
  first: NoiseLevel,
  last: NoiseLevel,
  steps: number,
): NoiseLevel[] {
  const from = sigmaOf(first) ** (1 / KARRAS_RHO);
  const to = sigmaOf(last) ** (1 / KARRAS_RHO);
  const sigmas = Array.from(
    { length: steps },
    (_, i) => (from + (i / (steps - 1 || 1)) * (to - from)) ** KARRAS_RHO,
  );
  return sigmas.map((sigma) => levelWithSigma(schedule, sigma));
}

const KARRAS_RHO = 7;

function gridLevels(config: SchedulerConfig, steps: number): NoiseLevel[] {
  if (steps > config.trainTimesteps) {
    throw new KandinskyError("option_invalid", {
      what: "cannot lay out the steps",
      where: "steps",
      seen: `${steps} levels`,
      wanted: `at most ${config.trainTimesteps}, the number of noise levels of the model`,
    });
  }
  return levels(
    scheduleOf(config),
    gridTimes(config.timestepSpacing, config.trainTimesteps, steps, config.stepsOffset),
  );
}

function levels(schedule: Schedule, times: readonly number[]): NoiseLevel[] {
  return times.map((time) => levelAt(schedule, time));
}
