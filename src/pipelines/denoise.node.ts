import {
  type Denoiser,
  denoiserOf,
  dynamicThreshold,
  hardClip,
  type Ladder,
  type Limiter,
  type Network,
  PROFILES,
  type ProfileName,
  planLadder,
  type SchedulerConfig,
  unlimited,
} from "../diffusion/mod.ts";
import { concatRows, row, type Tensor, tensor } from "../tensor/mod.ts";
import { isFinite32, notFinite } from "./blame.node.ts";
import type { BaseJob, Job } from "./job.ts";
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
  BaseJob,
  "profile" | "sampler" | "guidance" | "guidanceRescale" | "guidanceInterval" | "threshold" | "clip" | "mix"
>;

/** The noise levels that a job goes through. */
export function ladderOf(job: Job, scheduler: SchedulerConfig): Ladder {
  return planLadder(job.sampler, scheduler, job);
}

/**
 * The denoiser of a prepared batch: guidance where the plan has unconditional halves, and the job's limit of x0.
 * `extra` [1,D,H,W] is what a U-Net for inpainting gets behind the latent's channels, in both halves.
 */
export function denoiserOfBatch(
  prepared: PreparedUNet,
  plan: TextPlan,
  settings: DenoisingSettings,
  scheduler: SchedulerConfig,
  extra?: Tensor<"float32">,
): Denoiser {
  return denoiserOf(networkOf(prepared, plan, settings.mix?.weight, extra), {
    prediction: scheduler.prediction,
    limit: limitOf(settings, scheduler),
    ...(plan.unconditional.length === 0 ? {} : { guidance: guidanceOf(settings) }),
  });
}

/**
 * The network of a prepared batch. Its rows are the unconditional halves, then the conditional ones; where a
 * step is not guided their results are simply not used. With `mixed`, each half's second rows are of the texts that
 * are mixed in with that weight, for the same latents.
 */
function networkOf(
  prepared: PreparedUNet,
  plan: TextPlan,
  mixed: number | undefined,
  extra: Tensor<"float32"> | undefined,
): Network {
  const count = plan.conditional.length / (mixed === undefined ? 1 : 2);
  const half = (prediction: Tensor<"float32">, from: number) => {
    const first = rows(prediction, from, from + count);
    if (mixed === undefined) return first;
    return mixOf(first, rows(prediction, from + count, from + 2 * count), mixed);
  };
  return async (x, { index }) => {
    const input = extra === undefined ? x : withChannels(x, extra);
    const texts = mixed === undefined ? input : concatRows([input, input]);
    const sample = plan.unconditional.length === 0 ? texts : concatRows([texts, texts]);
    const prediction = await prepared.evaluate(sample, index);
    if (!isFinite32(prediction))
      throw notFinite("the U-Net's result is not finite", await prepared.blame(sample, index));
    if (plan.unconditional.length === 0) return { conditional: half(prediction, 0) };
    return { unconditional: half(prediction, 0), conditional: half(prediction, plan.conditional.length) };
  };
}

function mixOf(a: Tensor<"float32">, b: Tensor<"float32">, weight: number): Tensor<"float32"> {
  return tensor(
    "float32",
    a.shape,
    a.data.map((value, i) => (1 - weight) * value + weight * b.data[i]!),
  );
}

/** Every row of [B,C,H,W] with the channels of [1,D,H,W] behind its own. */
function withChannels(x: Tensor<"float32">, extra: Tensor<"float32">): Tensor<"float32"> {
  const [batch, channels, ...map] = x.shape as [number, number, number, number];
  const size = x.data.length / batch;
  const data = new Float32Array(x.data.length + batch * extra.data.length);
  for (let k = 0; k < batch; k++) {
    const at = k * (size + extra.data.length);
    data.set(x.data.subarray(k * size, (k + 1) * size), at);
    data.set(extra.data, at + size);
  }
  return tensor("float32", [batch, channels + extra.shape[1]!, ...map], data);
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
