import { readFile } from "node:fs/promises";
import { freemem } from "node:os";
import { KandinskyError, product } from "../base/mod.ts";
import { PROFILES } from "../diffusion/mod.ts";
import { buildGraph, graphFlops, matmul } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import { zeros } from "../tensor/mod.ts";
import { type StageReport, stageCosts, type WorkSize } from "./costs.node.ts";
import { ladderOf } from "./denoise.node.ts";
import type { BaseJob, Job } from "./job.ts";
import type { OpenedModel } from "./model.node.ts";
import type { BoundPart } from "./packing.node.ts";

/** What a job will take. */
export interface Estimate {
  /** For small jobs an upper bound. */
  readonly seconds: number;
  /** Memory of the largest stage. */
  readonly bytes: number;
}

/** Work below this is small on any machine that runs Node, and is not looked at closely. */
const SMALL_FLOPS = 1e12;
/** Operations a second of a slow machine. */
const SLOW_SPEED = 1e10;

/** See `Kandinsky3.estimate`. `startEngine` is asked only where the machine's speed is needed. */
export async function estimateJob(
  model: OpenedModel,
  whole: Job,
  startEngine: () => Promise<Engine>,
): Promise<Estimate> {
  const job = { ...whole, ...whole.canvas, steps: ladderOf(whole, model.scheduler).length - 1 };
  const bound = boundOf(model, job);
  if (bound < SMALL_FLOPS) return { seconds: bound / SLOW_SPEED, bytes: weightBytes(model.unet.part) };
  const { flops, bytes } = await costsWithin(model, job, await availableBytes());
  return { seconds: flops / (EFFICIENCY * (await speedOf(await startEngine()))), bytes };
}

/** More than the work can be, found without graphs: no weight is used more often than there are cells or pixels. */
function boundOf({ text, unet, movq, info }: OpenedModel, job: BaseJob): number {
  const cells = (job.width * job.height) / info.cell ** 2;
  const denoising = parameters(unet.part) * cells * job.steps * halvesOf(job);
  const decoding = parameters(movq.part) * job.width * job.height;
  return 2 * job.pictures.length * (parameters(text.part) + denoising + decoding);
}

/** Work and memory of a job; throws `memory_exceeded` where it needs more than there is. */
async function costsWithin(model: OpenedModel, job: BaseJob, available: number) {
  const batch = job.batchText === "joint" ? job.pictures.length : 1;
  const pixels = job.width * job.height * batch;
  // Two pictures tell how memory grows, before graphs of absurd sizes are built.
  const growth = growthOf(model, job);
  const bytes = Math.max(...growth.map(({ fixed, perPixel }) => fixed + perPixel * pixels));
  if (bytes > available) {
    const fits = Math.min(...growth.map(({ fixed, perPixel }) => (available - fixed) / perPixel));
    throw exceeded(model, job, { bytes, available, batch, fits });
  }
  const { width, height, steps } = job;
  const stages = stagesOf(model, job, { width, height, batch, steps });
  const flops = stages.reduce((sum, stage) => sum + stage.repeats * stage.flops, 0);
  return {
    flops: (flops * job.pictures.length) / batch,
    bytes: Math.max(...stages.map(({ weightBytes, activationBytes }) => weightBytes + activationBytes)),
  };
}

/**
 * Activation bytes of each stage as a line over pixels. Weights are left out: they are mapped from files, so a
 * lack of memory for them makes a run slow, not impossible.
 */
function growthOf(model: OpenedModel, job: BaseJob): { readonly fixed: number; readonly perPixel: number }[] {
  const { unit } = model.info;
  const sample = (side: number) => {
    const size = { width: side, height: side, batch: 1, steps: job.steps };
    return { pixels: side * side, stages: stagesOf(model, job, size) };
  };
  // Large enough for stripes: what grows with pixels is then all there.
  const one = sample(8 * unit);
  const two = sample(16 * unit);
  return one.stages.map(({ activationBytes }, i) => {
    const more = two.stages[i]!.activationBytes - activationBytes;
    const perPixel = Math.max(Number.MIN_VALUE, more / (two.pixels - one.pixels));
    return { fixed: activationBytes - perPixel * one.pixels, perPixel };
  });
}

/** The stages that a job has, and how often each runs for one batch. */
function stagesOf(model: OpenedModel, job: BaseJob, size: WorkSize): (StageReport & { repeats: number })[] {
  const guided = halvesOf(job) === 2;
  const repeats = {
    encode: 1,
    prepare: 1,
    step: guided ? 0 : job.steps,
    "guided step": guided ? job.steps : 0,
    decode: size.batch,
  };
  return stageCosts(model, size)
    .map((stage) => ({ ...stage, repeats: repeats[stage.stage] }))
    .filter((stage) => stage.repeats > 0);
}

function halvesOf({ profile, guidance }: BaseJob): 1 | 2 {
  return PROFILES[profile].guides(guidance) ? 2 : 1;
}

interface Shortage {
  readonly bytes: number;
  readonly available: number;
  /** Pictures drawn at once. */
  readonly batch: number;
  /** Pixels of all of them that would fit. */
  readonly fits: number;
}

function exceeded({ info }: OpenedModel, job: BaseJob, { bytes, available, batch, fits }: Shortage) {
  const pixels = job.width * job.height;
  const scale = Math.sqrt(Math.max(0, fits / batch) / pixels);
  const [width, height] = [job.width, job.height].map(
    (side) => Math.floor((side * scale) / info.unit) * info.unit,
  ) as [number, number];
  const count = Math.floor(fits / pixels);
  const hints = [
    ...(width > 0 && height > 0 ? [`${width}x${height} fits`] : []),
    ...(batch > 1 && count > 0 ? [`${count} pictures at once fit`] : []),
  ];
  const gigabytes = (size: number) => `${(size / 1e9).toFixed(1)} GB`;
  return new KandinskyError("memory_exceeded", {
    what: "this does not fit into memory",
    where: batch > 1 ? `${batch} pictures of ${job.width}x${job.height}` : `${job.width}x${job.height}`,
    seen: `${gigabytes(available)} free`,
    wanted: gigabytes(bytes),
    hint: hints.join(", ") || "close other programs, or use a smaller model",
  });
}

/** What Linux keeps only as a cache counts as free; a container may have less than the machine. */
async function availableBytes(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const kilobytes = /^MemAvailable:\s*(\d+) kB$/m.exec(text)?.[1];
  return kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
}

/** Share of the speed of a product that the whole reaches. */
const EFFICIENCY = 0.8;
const SIDE = 1024;
const TRIES = 3;

/** Operations a second of a square product: the best of a few. */
async function speedOf(engine: Engine): Promise<number> {
  const graph = buildGraph((b) => {
    const shape = [SIDE, SIDE];
    return { product: matmul(b.input("a", "float32", shape), b.input("b", "float32", shape)) };
  });
  const onnx = encodeOnnx(graph, (name) => {
    throw new RangeError(`no weight ${name}`);
  });
  const program = await engine.load({ name: "speed", onnx });
  try {
    const operand = zeros("float32", [SIDE, SIDE]);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES; i++) {
      const start = performance.now();
      const { product: result } = await program.run({ a: operand, b: operand }, { product: "hold" });
      best = Math.min(best, performance.now() - start);
      await engine.release(result);
    }
    return graphFlops(graph) / (best / 1000);
  } finally {
    await program.release();
  }
}

function parameters({ entries }: BoundPart): number {
  return [...entries.values()].reduce((sum, { shape }) => sum + product(shape), 0);
}

function weightBytes(part: BoundPart): number {
  return 4 * parameters(part);
}
