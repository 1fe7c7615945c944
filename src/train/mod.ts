export {
  type DiffusionBatch,
  type DiffusionSamples,
  diffusionBatch,
  lossWeight,
  type Objective,
  type RowsOf,
  stratifiedTimes,
  type Weighting,
} from "./diffusion-batch.ts";
export { type DiffusionShape, diffusionGraph, NULL_EMBEDDING, predictionOf } from "./diffusion-graph.ts";
export { checkInPlace } from "./in-place.ts";
export {
  crossEntropy,
  mean,
  meanAbsolute,
  meanOfRows,
  squared,
  straightThrough,
  VQ_WEIGHTS,
  vqLoss,
} from "./losses.ts";
export { decaysMatrices, type OptimizerConfig, updateGraph } from "./optimizer.ts";
export { trainingGraph } from "./passes.ts";
export { type SumOver, sumOverPeers } from "./peers.ts";
export {
  openTrainer,
  PIECES,
  type StepOptions,
  type StepResult,
  type Trainer,
  type TrainerOptions,
  type TrainingProgram,
  type TrainingState,
} from "./trainer.ts";
