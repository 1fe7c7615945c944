import { KandinskyError } from "../base/mod.ts";
import { formatShape } from "../tensor/mod.ts";
import type { Latent } from "./arithmetic.ts";
import type { PredictionType } from "./config.ts";
import { type Guidance, guide, guidesAt } from "./guidance.ts";
import type { Limiter } from "./limit.ts";
import { predictedEps, predictedX0 } from "./prediction.ts";
import type { NoiseLevel } from "./schedule.ts";

/** What a sampler is told about a noisy latent. */
export interface Denoised {
  /** Predicted clean latent, limited. */
  readonly x0: Latent;
  /** Predicted noise, as the network has it: not derived again from the limited x0. */
  readonly eps: Latent;
}

/** All that samplers know of a model. `evaluation` is the index of `level` in the ladder. */
export type Denoiser = (x: Latent, level: NoiseLevel, evaluation: number) => Promise<Denoised>;

/** One request to a network. */
export interface Evaluation {
  /** Index into `evaluationTimes(ladder)`: what a network computed ahead for those times is found by it. */
  readonly index: number;
  readonly time: number;
  /** Whether the unconditional output is wanted too. */
  readonly guided: boolean;
}

/** A raw network: outputs have the shape of `x` [B,C,H,W]; `unconditional` is present when `guided`. */
export type Network = (
  x: Latent,
  evaluation: Evaluation,
) => Promise<{ readonly conditional: Latent; readonly unconditional?: Latent }>;

export interface DenoiserSettings {
  readonly prediction: PredictionType;
  /** Absent: no guidance, and the unconditional half is never asked for. */
  readonly guidance?: Guidance;
  readonly limit: Limiter;
}

/**
 * A denoiser from a raw network: owns what the network predicts, guidance and the limit of x0. The promise rejects
 * with `tensor_shape` where an output is not shaped as `x` and `tensor_missing` where a guided one is absent.
 */
export function denoiserOf(network: Network, { prediction, guidance, limit }: DenoiserSettings): Denoiser {
  return async (x, level, index) => {
    const guided = guidesAt(guidance, level.time);
    const outputs = await network(x, { index, time: level.time, guided });
    const conditional = checked(outputs.conditional, x, "conditional");
    const output = guided
      ? guide(guidance, conditional, checked(outputs.unconditional, x, "unconditional"))
      : conditional;
    return {
      x0: limit(predictedX0(prediction, output, x, level)),
      eps: predictedEps(prediction, output, x, level),
    };
  };
}

function checked(output: Latent | undefined, x: Latent, half: string): Latent {
  const what = "cannot use the output of the network";
  if (output === undefined) throw new KandinskyError("tensor_missing", { what, where: half });
  if (output.shape.join() !== x.shape.join()) {
    throw new KandinskyError("tensor_shape", {
      what,
      where: half,
      seen: formatShape(output.shape),
      wanted: formatShape(x.shape),
    });
  }
  return output;
}
