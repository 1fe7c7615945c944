import { product } from "../base/mod.ts";
import { buildGraph, graphFlops, matmul } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import { zeros } from "../tensor/mod.ts";
import type { Job } from "./job.ts";
import type { OpenedModel } from "./model.node.ts";
import type { BoundPart } from "./packing.node.ts";
import { type JobPlan, type MemoryLimit, planJob, type SizedJob, sizedJob } from "./plan-job.node.ts";

/** What a job will take. */
export interface Estimate {
  /** For small jobs an upper bound. */
  readonly seconds: number;
  /** How it will run; absent for small jobs, for which there is nothing to choose. */
  readonly plan?: JobPlan;
}

/** Work below this is small on any machine that runs Node, and is not looked at closely. */
const SMALL_FLOPS = 1e12;
/** Operations a second of a slow machine. */
const SLOW_SPEED = 1e10;
/** Bytes a second of a disk that weights are read from. */
const READ_SPEED = 1e9;
/** Seconds that widening takes for each byte: half precision and rounded values alike, within what is known. */
const WIDEN_SECONDS = 1.5e-10;

/** See `Kandinsky3.estimate`. `startEngine` is asked only where the machine's speed is needed. */
export async function estimateJob(
  model: OpenedModel,
  job: Job,
  plan: JobPlan | undefined,
  startEngine: () => Promise<Engine>,
): Promise<Estimate> {
  if (plan === undefined) return { seconds: boundOf(model, sizedJob(model, job)) / SLOW_SPEED };
  const arithmetic = plan.flops / (EFFICIENCY * (await speedOf(await startEngine())));
  const waiting = plan.stages.map(({ precision, weightBytes, rereads, passes }) => {
    const reading = (weightBytes * (rereads ? passes : 1)) / READ_SPEED;
    return reading + (precision === "float32" ? 0 : WIDEN_SECONDS * passes * weightBytes);
  });
  return { seconds: arithmetic + waiting.reduce((sum, seconds) => sum + seconds, 0), plan };
}

/** The plan of a job; undefined where it is so small that there is nothing to choose, and no limit was given. */
export async function planIfLarge(
  model: OpenedModel,
  job: Job,
  limit: MemoryLimit,
): Promise<JobPlan | undefined> {
  const sized = sizedJob(model, job);
  if (limit.bytes === undefined && boundOf(model, sized) < SMALL_FLOPS) return undefined;
  return planJob(model, sized, limit);
}

/** More than the work can be, found without graphs: no weight is used more often than there are cells or pixels. */
function boundOf({ text, unet, movq, info }: OpenedModel, job: SizedJob): number {
  const cells = (job.width * job.height) / info.cell ** 2;
  const denoising = parameters(unet.part) * cells * (job.steps + job.guidedSteps);
  const decoding = parameters(movq.part) * job.width * job.height;
  const reading = parameters(movq.part) * job.canvas.width * job.canvas.height * job.reads;
  return 2 * (job.pictures.length * (parameters(text.part) + denoising + decoding) + reading);
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
