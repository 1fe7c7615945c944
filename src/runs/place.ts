import type { Stage } from "./config.ts";

/** Where an update lies in a run. */
export interface Place {
  /** Number of the stage. */
  readonly index: number;
  readonly stage: Stage;
  /** Number of the update within its stage, from 0. */
  readonly within: number;
  readonly learningRate: number;
}

/** Updates of a stage: enough for all its samples. */
export function updatesOf({ samples, batch }: Stage): number {
  return Math.ceil(samples / batch);
}

/** Updates of a whole run. */
export function totalUpdates(stages: readonly Stage[]): number {
  return stages.reduce((sum, stage) => sum + updatesOf(stage), 0);
}

/** Samples seen before an update. */
export function samplesBefore(stages: readonly Stage[], update: number): number {
  let left = update;
  let samples = 0;
  for (const stage of stages) {
    const updates = Math.min(left, updatesOf(stage));
    samples += updates * stage.batch;
    left -= updates;
  }
  return samples;
}

/** Place of an update, counted from 0 over all stages; undefined behind the last. */
export function placeOf(stages: readonly Stage[], update: number): Place | undefined {
  let within = update;
  for (const [index, stage] of stages.entries()) {
    if (within < updatesOf(stage))
      return { index, stage, within, learningRate: learningRateAt(stage, within) };
    within -= updatesOf(stage);
  }
  return undefined;
}

/** Rises linearly over the warm-up, then falls along half a cosine to the final share. */
export function learningRateAt(stage: Stage, within: number): number {
  const { learningRate, batch, warmUp, finalShare } = stage;
  const seen = (within + 1) * batch;
  const rising = warmUp === 0 ? 1 : Math.min(1, seen / warmUp);
  const end = updatesOf(stage) * batch;
  const falling = Math.min(1, Math.max(0, (seen - warmUp) / Math.max(batch, end - warmUp)));
  return learningRate * rising * (finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * falling)));
}
