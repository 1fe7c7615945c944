import {
  combine,
  type Denoiser,
  denoiserOf,
  dynamicThreshold,
  guidesAt,
  hardClip,
  type Ladder,
  type Limiter,
  type Network,
  PROFILES,
  type ProfileName,
  planLadder,
  predictionTarget,
  type SchedulerConfig,
  unlimited,
} from "../diffusion/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";
import { isFinite32, notFinite } from "./blame.node.ts";
import type { BaseJob, Job } from "./job.ts";
import { finishContext, projectionInput, type TextPlan } from "./text.ts";
import type { Batch } from "./tiles.ts";
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

/** What keeps a known part of a picture. */
export interface Known {
  /** Clean latents [B,C,H,W]. */
  readonly clean: Tensor<"float32">;
  /** [B,1,H,W]: 1 where something new is drawn, 0 where `clean` is kept. */
  readonly hole: Tensor<"float32">;
}

/** The denoiser of a network: guidance where there are unconditional halves, and the job's limit of x0. */
export function denoiserOfNetwork(
  network: Network,
  guided: boolean,
  settings: DenoisingSettings,
  scheduler: SchedulerConfig,
): Denoiser {
  return denoiserOf(network, {
    prediction: scheduler.prediction,
    limit: limitOf(settings, scheduler),
    ...(guided ? { guidance: guidanceOf(settings) } : {}),
  });
}

/**
 * A network that is right about what is known: there its output is the one that leads to the known latent. Limits of
 * x0 that look at the whole latent then see nothing else. `ladder` has the levels of the evaluations.
 */
export function knowingNetwork(
  network: Network,
  { clean, hole }: Known,
  ladder: Ladder,
  prediction: SchedulerConfig["prediction"],
): Network {
  return async (x, evaluation) => {
    const level = ladder[evaluation.index]!;
    const eps = combine([1 / level.noise, x], [-level.signal / level.noise, clean]);
    const right = predictionTarget(prediction, clean, eps, level);
    const { conditional, unconditional } = await network(x, evaluation);
    return {
      conditional: mixed(conditional, right, hole),
      ...(unconditional === undefined ? {} : { unconditional: mixed(unconditional, right, hole) }),
    };
  };
}

/** [B,C,H,W]: `drawn` where `hole` [B,1,H,W] is 1, `known` where it is 0. */
function mixed(
  drawn: Tensor<"float32">,
  known: Tensor<"float32">,
  hole: Tensor<"float32">,
): Tensor<"float32"> {
  const channels = drawn.shape[1]!;
  const size = hole.data.length / hole.shape[0]!;
  const data = drawn.data.map((value, i) => {
    const open = hole.data[Math.floor(i / (channels * size)) * size + (i % size)]!;
    return open === 1 ? value : open * value + (1 - open) * known.data[i]!;
  });
  return { ...drawn, data };
}

/**
 * A denoiser that is sure of what is known: there x0 is the known latent and eps what leads to it, so that every
 * sampler passes through the known latent with the right noise at each level and ends at it.
 */
export function keepingKnown(denoiser: Denoiser, { clean, hole }: Known): Denoiser {
  return async (x, level, evaluation) => {
    const { x0, eps } = await denoiser(x, level, evaluation);
    const right = combine([1 / level.noise, x], [-level.signal / level.noise, clean]);
    return { x0: mixed(x0, clean, hole), eps: mixed(eps, right, hole) };
  };
}

/** The indices of the evaluations that guidance acts on, and of the others. */
export function passesAt(
  times: readonly number[],
  guided: boolean,
  settings: DenoisingSettings,
): Readonly<Record<"guided" | "plain", readonly number[]>> {
  const guidance = guided ? guidanceOf(settings) : undefined;
  const indices = [...times.keys()];
  return {
    guided: indices.filter((index) => guidesAt(guidance, times[index]!)),
    plain: indices.filter((index) => !guidesAt(guidance, times[index]!)),
  };
}

/**
 * Evaluates a prepared batch, at `times[index]` of what it was prepared with. Its rows are the unconditional halves, where
 * the plan has some, then the conditional ones. With `mix`, each half's second rows are of the texts that are
 * mixed in with that weight, for the same latents.
 */
export function evaluatorOf(prepared: PreparedUNet, plan: TextPlan, mix?: number): Batch["evaluate"] {
  const isGuided = plan.unconditional.length > 0;
  const count = plan.conditional.length / (mix === undefined ? 1 : 2);
  const half = (prediction: Tensor<"float32">, from: number) => {
    const first = rows(prediction, from, from + count);
    return mix === undefined ? first : mixOf(first, rows(prediction, from + count, from + 2 * count), mix);
  };
  return async (input, { index }) => {
    const texts = mix === undefined ? input : concatRows([input, input]);
    const sample = isGuided ? concatRows([texts, texts]) : texts;
    const prediction = await prepared.evaluate(sample, index);
    if (!isFinite32(prediction))
      throw notFinite("the U-Net's result is not finite", await prepared.blame(sample, index));
    if (!isGuided) return { conditional: half(prediction, 0) };
    return { unconditional: half(prediction, 0), conditional: half(prediction, plan.conditional.length) };
  };
}

function mixOf(a: Tensor<"float32">, b: Tensor<"float32">, weight: number): Tensor<"float32"> {
  return { ...a, data: a.data.map((value, i) => (1 - weight) * value + weight * b.data[i]!) };
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
