import {
  type Denoiser,
  denoiserOf,
  dynamicThreshold,
  hardClip,
  type Limiter,
  type Network,
  PROFILES,
  type ProfileName,
  type SchedulerConfig,
  unlimited,
} from "../diffusion/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";
import { isFinite32, notFinite } from "./blame.node.ts";
import type { Job } from "./request.ts";
import { finishContext, projectionInput, type TextPlan } from "./text.ts";
import type { PreparedUNet, UNetRunner } from "./unet-runner.node.ts";

/**
 * The context [B,L,C] of a batch from the encoder's states of the plan's texts. Its rows are the unconditional halves,
 * then the conditional ones. `nullEmbedding` [C] is needed by the native profile where a half has no text.
 */
export async function contextOf(
  unet: UNetRunner,
  plan: TextPlan,
  hidden: Tensor<"float32">,
  profile: ProfileName,
  nullEmbedding: Float32Array | undefined,
): Promise<Tensor<"float32">> {
  const halves = [...plan.unconditional, ...plan.conditional];
  const projected = await unet.project(projectionInput(hidden, halves, plan.rows, profile));
  return finishContext(projected, halves, profile, nullEmbedding);
}

/** What of a job a denoiser needs to know. */
export type DenoisingSettings = Pick<
  Job,
  "profile" | "sampler" | "guidance" | "guidanceRescale" | "guidanceInterval" | "threshold" | "clip"
>;

/** The denoiser of a prepared batch: guidance where the plan has unconditional halves, and the job's limit of x0. */
export function denoiserOfBatch(
  prepared: PreparedUNet,
  plan: TextPlan,
  settings: DenoisingSettings,
  scheduler: SchedulerConfig,
): Denoiser {
  return denoiserOf(networkOf(prepared, plan), {
    prediction: scheduler.prediction,
    limit: limitOf(settings, scheduler),
    ...(plan.unconditional.length === 0 ? {} : { guidance: guidanceOf(settings) }),
  });
}

/**
 * The network of a prepared batch. Its rows are the unconditional halves, then the conditional ones; where a
 * step is not guided their results are simply not used.
 */
function networkOf(prepared: PreparedUNet, plan: TextPlan): Network {
  const count = plan.conditional.length;
  return async (x, { index }) => {
    const sample = plan.unconditional.length === 0 ? x : concatRows([x, x]);
    const prediction = await prepared.evaluate(sample, index);
    if (!isFinite32(prediction))
      throw notFinite("the U-Net's result is not finite", await prepared.blame(sample, index));
    if (plan.unconditional.length === 0) return { conditional: prediction };
    return {
      unconditional: rows(prediction, 0, count),
      conditional: rows(prediction, count, 2 * count),
    };
  };
}

function rows(t: Tensor<"float32">, from: number, to: number): Tensor<"float32"> {
  return concatRows(Array.from({ length: to - from }, (_, i) => row(t, from + i)));
}

function guidanceOf({ guidance, guidanceRescale, guidanceInterval }: DenoisingSettings) {
  const interval = guidanceInterval && { low: guidanceInterval[0], high: guidanceInterval[1] };
  return { weight: guidance, rescale: guidanceRescale, ...(interval === undefined ? {} : { interval }) };
}

function limitOf(settings: DenoisingSettings, scheduler: SchedulerConfig): Limiter {
  const { profile, sampler, threshold, clip } = settings;
  if (threshold !== undefined) return dynamicThreshold(threshold);
  if (clip !== undefined) return hardClip(clip);
  // Flash was distilled without a limit.
  if (sampler === "flash") return unlimited;
  return PROFILES[profile].limit(scheduler);
}
