export { defineRun, parseRun, type RunConfig, type RunInput, type Stage, sizesOf } from "./config.ts";
export { loadRun } from "./load.node.ts";
export type { StepRecord } from "./log.node.ts";
export { totalUpdates, updatesOf } from "./place.ts";
export { type RunEvent, type RunOptions, runTraining } from "./run.node.ts";
export { smokeOf } from "./smoke.ts";
