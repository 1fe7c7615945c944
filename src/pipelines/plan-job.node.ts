import { KandinskyError } from "../base/mod.ts";
import { evaluationTimes, PROFILES } from "../diffusion/mod.ts";
import { memoryRoom } from "../runtime/mod.ts";
import { canvasParts } from "./canvas.node.ts";
import {
  ARENA_SHARE,
  SESSION_BYTES,
  type StageReport,
  stageCosts,
  type WorkSize,
  type WorkStage,
} from "./costs.node.ts";
import { ladderOf, passesAt } from "./denoise.node.ts";
import type { BaseJob, Job } from "./job.ts";
import type { OpenedModel } from "./model.node.ts";
import { ARENA_CELLS } from "./movq-runner.node.ts";
import type { BoundPart } from "./packing.node.ts";
import {
  type Form,
  type PartName,
  type Plan,
  type PlannedStage,
  planStages,
  type StageNeed,
} from "./plan.ts";
import { staysLoaded } from "./resident.node.ts";
import { picturesRead } from "./scene.node.ts";
import { PART_BYTES } from "./t5-runner.node.ts";
import { coverMap } from "./windows.ts";

/** What the caller allows. */
export interface MemoryLimit {
  /** Bytes; by default what this machine has free, ... */
  readonly bytes?: number;
  /** ... and what the engine's process has taken already, which serves the next job. */
  readonly heldBytes?: number;
}

/** A stage of drawing as it will run. */
export interface JobStage extends PlannedStage<WorkStage> {
  readonly passes: number;
}

/** How a job of this model runs. */
export interface JobPlan extends Plan<WorkStage> {
  readonly stages: readonly JobStage[];
  /** Floating point operations of all pictures. */
  readonly flops: number;
}

/** What the two processes take without any stage, and what passes between them. */
const BASE_BYTES = 250e6;
/** Memory that the encoder takes for each byte of the widest weight: it runs once, so buffers are not kept. */
const ONCE_SHARE = 1.5;

/** A job as it is planned. */
export interface SizedJob extends BaseJob {
  /** How many of its steps have guidance. */
  readonly guidedSteps: number;
  /** How many pictures become latents before the first step. */
  readonly reads: number;
  /** Whether `canvas` is covered by windows of `width` and `height`. */
  readonly hasWindows: boolean;
}

/** A job with the steps that it will really do, at the size that is drawn; every window counts as a picture. */
export function sizedJob(model: OpenedModel, job: Job): SizedJob {
  const times = evaluationTimes(ladderOf(job, model.scheduler));
  const passes = passesAt(times, PROFILES[job.profile].guides(job.guidance), job);
  const counted = {
    steps: times.length,
    guidedSteps: passes.guided.length,
    reads: picturesRead(job, model.info.inpaints),
    hasWindows: "windows" in job,
  };
  if (!("windows" in job)) return { ...job, ...job.canvas, ...counted };
  const { width, height } = job.windows;
  const count = coverMap(job.canvas, job.windows).length;
  const pictures = job.pictures.flatMap((picture) => new Array<typeof picture>(count).fill(picture));
  return { ...job, ...counted, width, height, pictures, batchText: "each" };
}

/** Plans a job; throws `memory_exceeded`, naming what would fit, where nothing does. */
export async function planJob(model: OpenedModel, job: SizedJob, limit: MemoryLimit): Promise<JobPlan> {
  const bytes = limit.bytes ?? (await memoryRoom()).freeBytes + (limit.heldBytes ?? 0);
  const neededBytes = isHuge(model, job) ? leastBytes(model, job) : 0;
  const plan = neededBytes > bytes ? { neededBytes } : planWithin(model, job, bytes);
  if ("stages" in plan) return plan;
  throw exceeded(model, job, limit, bytes, plan.neededBytes);
}

type Attempt = JobPlan | { readonly neededBytes: number };

function planWithin(model: OpenedModel, job: SizedJob, bytes: number): Attempt {
  const costs = costsOf(model, job);
  const needs = costs.map((cost) => needOf(model, job, cost));
  const plan = planStages(needs, { bytes, baseBytes: BASE_BYTES });
  if (!("stages" in plan)) return plan;
  const workOf = (some: readonly StageReport[]) =>
    some.reduce((sum, { stage, flops }) => sum + flops * passesOf(model, stage, job), 0);
  const work = workOf(costs.filter(({ stage }) => stage !== "read"));
  // Once for all pictures.
  const read = workOf(costs.filter(({ stage }) => stage === "read"));
  return {
    ...plan,
    stages: plan.stages.map((stage, i) => ({ ...stage, passes: needs[i]!.passes })),
    flops: (work * job.pictures.length) / batchOf(job) + read,
  };
}

function batchOf({ batchText, pictures }: BaseJob): number {
  return batchText === "joint" ? pictures.length : 1;
}

function costsOf(model: OpenedModel, job: SizedJob): StageReport[] {
  const { width, height, steps, guidedSteps } = job;
  const size: WorkSize = { width, height, batch: batchOf(job), steps };
  const isMixed = guidedSteps > 0 && guidedSteps < steps;
  return stageCosts(model, {
    ...size,
    ...(isMixed ? {} : { guided: guidedSteps > 0 }),
    ...(job.reads === 0 ? {} : { reads: partsRead(model, job) }),
  });
}

function partsRead({ info }: OpenedModel, { canvas, hasWindows, width, height }: SizedJob) {
  return canvasParts(hasWindows ? canvas : { width, height }, info.cell);
}

const PARTS: { readonly [S in WorkStage]: PartName } = {
  read: "movq",
  encode: "text_encoder",
  prepare: "unet",
  step: "unet",
  "guided step": "unet",
  decode: "movq",
};

function passesOf(model: OpenedModel, stage: WorkStage, job: SizedJob): number {
  if (stage === "read") return job.reads * partsRead(model, job).count;
  if (stage === "decode") return batchOf(job);
  if (stage === "guided step") return job.guidedSteps;
  return stage === "step" ? job.steps - job.guidedSteps : 1;
}

function needOf(model: OpenedModel, job: SizedJob, cost: StageReport): StageNeed<WorkStage> {
  const { stage } = cost;
  const part = PARTS[stage];
  const cells = (job.width * job.height) / model.info.cell ** 2;
  return {
    stage,
    part,
    // A picture's weights are not read again before the next one.
    passes: stage === "decode" ? 1 : passesOf(model, stage, job),
    stays: stage === "read" ? staysLoaded(model.movq.part) : stage !== "encode",
    forms: FORMS[part](cost, storedType(partOf(model, part).part), cells),
  };
}

/** The ways to run each part: first what keeps all values, the fastest first, then what rounds them. */
const FORMS: {
  readonly [P in PartName]: (cost: StageReport, stored: string, cells: number) => readonly Form[];
} = {
  text_encoder: ({ activationBytes, storedBytes, widenedBytes }, dtype) => {
    // The product lays out rounded matrices while it is loaded, in memory of its own.
    const laidOut = ROUNDED.has(dtype) ? Math.min(PART_BYTES, storedBytes) : 0;
    const privateBytes = activationBytes + ONCE_SHARE * widenedBytes + laidOut;
    return [{ precision: "stored", dtype, weightBytes: storedBytes, privateBytes, idleBytes: 0 }];
  },
  unet: ({ activationBytes, weightBytes, storedBytes, roundedBytes, widenedBytes }, dtype) => {
    const more = activationBytes + ARENA_SHARE * widenedBytes;
    const wide = { weightBytes, privateBytes: activationBytes, idleBytes: activationBytes };
    const widened = { privateBytes: more, idleBytes: more };
    const forms: readonly Form[] = [
      { precision: "float32", dtype: "float32", ...wide },
      { precision: "stored", dtype, weightBytes: storedBytes, ...widened },
      { precision: "int8", dtype: "int8", weightBytes: roundedBytes.int8, ...widened },
      { precision: "int4", dtype: "int4", weightBytes: roundedBytes.int4, ...widened },
    ];
    // What a file has rounded is used so: nothing is gained by a form that takes no fewer bytes.
    const least = ROUNDED.has(dtype) ? forms.slice(1) : forms;
    return least.filter((form, i) => i === 0 || form.weightBytes < least[i - 1]!.weightBytes);
  },
  movq: ({ activationBytes, weightBytes }, _, cells) => {
    const idleBytes = cells < ARENA_CELLS ? activationBytes : SESSION_BYTES;
    return [
      { precision: "float32", dtype: "float32", weightBytes, privateBytes: activationBytes, idleBytes },
    ];
  },
};

const ROUNDED: ReadonlySet<string> = new Set(["int8", "int4"]);

function partOf({ text, unet, movq }: OpenedModel, name: PartName) {
  return { text_encoder: text, unet, movq }[name];
}

/** The type that holds most bytes of a part. */
function storedType({ entries }: BoundPart): string {
  const bytes = new Map<string, number>();
  for (const { dtype, byteLength, quantized } of entries.values()) {
    const type = quantized === undefined ? dtype : `int${quantized.form.bits}`;
    bytes.set(type, (bytes.get(type) ?? 0) + byteLength);
  }
  return [...bytes].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
}

/** Whether pictures are so large that even their graphs would be too large. */
function isHuge({ info }: OpenedModel, job: SizedJob): boolean {
  return job.width * job.height * batchOf(job) > (SAMPLES[1] * info.unit) ** 2 * 4;
}

/** Sides, in units, of two pictures that tell how memory grows: large enough for stripes. */
const SAMPLES = [8, 16] as const;

/** Bytes of the stage that needs most in its smallest form, as a line over pixels. */
function leastBytes(
  model: OpenedModel,
  job: SizedJob,
  pixels = job.width * job.height * batchOf(job),
): number {
  return Math.max(...growthOf(model, job).map(({ fixed, perPixel }) => fixed + perPixel * pixels));
}

function growthOf(
  model: OpenedModel,
  job: SizedJob,
): { readonly fixed: number; readonly perPixel: number }[] {
  const [small, large] = SAMPLES.map((units) => units * model.info.unit) as [number, number];
  const more = leastOf(model, job, large);
  return leastOf(model, job, small).map((bytes, i) => {
    const slope = (more[i]! - bytes) / (large ** 2 - small ** 2);
    const perPixel = Math.max(Number.MIN_VALUE, slope);
    return { fixed: BASE_BYTES + bytes - perPixel * small ** 2, perPixel };
  });
}

/** Memory of each stage in its smallest form, for one square picture. */
function leastOf(model: OpenedModel, job: SizedJob, side: number): number[] {
  const sample = { ...job, width: side, height: side, batchText: "each" as const };
  const costs = costsOf(model, sample);
  const needs = costs.map((cost) => needOf(model, sample, cost));
  return needs.map(({ forms }) => Math.min(...forms.map(({ privateBytes }) => privateBytes)));
}

function exceeded(
  model: OpenedModel,
  job: SizedJob,
  limit: MemoryLimit,
  bytes: number,
  neededBytes: number,
): KandinskyError {
  const batch = batchOf(job);
  const place = `${job.width}x${job.height}`;
  return new KandinskyError("memory_exceeded", {
    what: "this does not fit into memory",
    where: batch > 1 ? `${batch} pictures of ${place}` : place,
    seen: `${gigabytes(bytes)} ${limit.bytes === undefined ? "free" : "allowed"}`,
    wanted: gigabytes(neededBytes),
    hint: whatFits(model, job, bytes).join(", ") || leastHint(model, job),
  });
}

/** The largest picture of this shape, and the most pictures of this size, that there is a plan for. */
function whatFits(model: OpenedModel, job: SizedJob, bytes: number): string[] {
  const batch = batchOf(job);
  const pixels = job.width * job.height;
  const growth = growthOf(model, job);
  const fits = Math.min(...growth.map(({ fixed, perPixel }) => (bytes - fixed) / perPixel));
  const count = Math.min(batch - 1, Math.floor(fits / pixels));
  const { unit } = model.info;
  let scale = Math.sqrt(Math.max(0, fits / batch) / pixels);
  // The line over pixels is a guess.
  for (let tries = 0; tries < FIT_TRIES; tries++, scale *= 0.9) {
    const [width, height] = [job.width, job.height].map((side) => Math.floor((side * scale) / unit) * unit);
    if (!(width! > 0 && height! > 0)) break;
    const plan = planWithin(model, { ...job, width: width!, height: height! }, bytes);
    if (!("stages" in plan)) continue;
    const dtype = plan.stages.findLast(({ part }) => part === "unet")!.dtype;
    const size = `${width}x${height} fits with the U-Net in ${dtype}`;
    return count > 0 ? [size, `${count} pictures at once fit`] : [size];
  }
  return count > 0 ? [`${count} pictures at once fit`] : [];
}

const FIT_TRIES = 5;

function leastHint(model: OpenedModel, job: SizedJob): string {
  const least = leastBytes(model, job, model.info.unit ** 2);
  return `this model needs at least ${gigabytes(least)}: close other programs, or use a smaller model`;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
