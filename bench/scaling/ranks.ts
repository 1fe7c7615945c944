/**
 * One of two processes that `mpirun` starts for the group `scaling`: times sums of several sizes, then steps whose
 * computation is a nap while the gradients are exchanged as in training. The job is the first argument, as JSON;
 * the process of rank 0 prints what it found.
 */
import { setTimeout } from "node:timers/promises";
import { openMpi } from "../../src/mpi/mod.ts";
import { median, repeated, timed } from "../measure.ts";
import { type GradientSize, planBuckets } from "./buckets.ts";
import { gradientExchange } from "./exchange.ts";
import type { Sample, Step } from "./model.ts";

/** What the processes are asked for. */
export interface RanksJob {
  readonly bytes: readonly number[];
  readonly repeats: number;
  readonly step: Step;
  readonly gradients: readonly GradientSize[];
  readonly bucketBytes: number;
}

/** What they answer. */
export interface RanksFound {
  readonly library: string;
  readonly samples: readonly Sample[];
  readonly stepSeconds: number;
}

const VALUE_BYTES = 4;
const MILLISECONDS = 1000;

const job = JSON.parse(process.argv[2]!) as RanksJob;
const world = await openMpi();
const samples: Sample[] = [];
for (const bytes of job.bytes) {
  const values = new Float32Array(bytes / VALUE_BYTES);
  const seconds: number[] = [];
  // The first is not counted: it sets up what later ones use.
  for (let i = 0; i <= job.repeats; i++) {
    await world.barrier();
    seconds.push((await timed(() => world.sum(values))).seconds);
  }
  samples.push({ bytes, seconds: median(seconds.slice(1)) });
}

const buckets = planBuckets(job.gradients, job.bucketBytes);
const exchange = gradientExchange(world, buckets);
const values = buckets.map(({ parts }) =>
  parts.map(({ name, size }) => ({ name, gradient: new Float32Array(size) })),
);
const total = buckets.reduce((sum, { size }) => sum + size, 0);
const step = async () => {
  await world.barrier();
  const start = performance.now();
  let made = 0;
  for (const [i, { size }] of buckets.entries()) {
    made += size;
    const ready = job.step.forward + (job.step.backward * made) / total;
    const left = ready * MILLISECONDS - (performance.now() - start);
    if (left > 0) await setTimeout(left);
    for (const { name, gradient } of values[i]!) exchange.add(name, gradient);
  }
  await exchange.finish();
};
await step();
const stepSeconds = median(await repeated(job.repeats, step));
const found: RanksFound = { library: world.library, samples, stepSeconds };
if (world.rank === 0) process.stdout.write(`${JSON.stringify(found)}\n`);
await world.close();
