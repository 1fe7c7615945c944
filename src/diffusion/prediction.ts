import { combine, type Latent } from "./arithmetic.ts";
import type { PredictionType } from "./config.ts";
import type { NoiseLevel } from "./schedule.ts";

/** Coefficients of a sum of two latents. */
type Pair = readonly [number, number];

/** How one kind of network output relates to picture and noise: every relation is a sum of two latents. */
interface Prediction {
  /** x0 from [x, output]. */
  readonly x0: (level: NoiseLevel) => Pair;
  /** eps from [x, output]. */
  readonly eps: (level: NoiseLevel) => Pair;
  /** What the network should have said, from [x0, eps]. */
  readonly target: (level: NoiseLevel) => Pair;
}

/** The only place that knows what networks predict: noise, velocity (Salimans and Ho 2022) or the clean latent. */
const PREDICTIONS: Record<PredictionType, Prediction> = {
  epsilon: {
    x0: ({ signal, noise }) => [1 / signal, -noise / signal],
    eps: () => [0, 1],
    target: () => [0, 1],
  },
  v_prediction: {
    x0: ({ signal, noise }) => [signal, -noise],
    eps: ({ signal, noise }) => [noise, signal],
    target: ({ signal, noise }) => [-noise, signal],
  },
  sample: {
    x0: () => [0, 1],
    eps: ({ signal, noise }) => [1 / noise, -signal / noise],
    target: () => [1, 0],
  },
};

/** The clean latent that a network output implies for `x` at `level`. */
export function predictedX0(kind: PredictionType, output: Latent, x: Latent, level: NoiseLevel): Latent {
  const [ofX, ofOutput] = PREDICTIONS[kind].x0(level);
  return combine([ofX, x], [ofOutput, output]);
}

/** The noise that a network output implies for `x` at `level`. */
export function predictedEps(kind: PredictionType, output: Latent, x: Latent, level: NoiseLevel): Latent {
  const [ofX, ofOutput] = PREDICTIONS[kind].eps(level);
  return combine([ofX, x], [ofOutput, output]);
}

/** The output that would be exactly right for x = signal * x0 + noise * eps. */
export function predictionTarget(kind: PredictionType, x0: Latent, eps: Latent, level: NoiseLevel): Latent {
  const [ofX0, ofEps] = PREDICTIONS[kind].target(level);
  return combine([ofX0, x0], [ofEps, eps]);
}
