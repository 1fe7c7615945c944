/**
 * One of two processes that `mpirun` starts for the group `scaling`: training steps in turn over the wire as it is and
 * over one on which all gradients together take longer. The job is the first argument, as JSON; the process of rank 0
 * prints what it found.
 */
import { product } from "../../src/base/mod.ts";
import { parametersOf } from "../../src/graph/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
import { sumOverPeers } from "../../src/train/mod.ts";
import type { StepCase } from "../jobs.ts";
import { timed } from "../measure.ts";
import { openStep } from "../visits/step.ts";

/** What the processes are asked for. */
export interface SlowRanksJob {
  readonly model: string;
  /** What each process learns from in a step. */
  readonly step: StepCase;
  /** What the sums of all gradients take longer. */
  readonly milliseconds: number;
}

/** Seconds of each step, in turn. */
export interface SlowRanksFound {
  readonly plain: readonly number[];
  readonly slowed: readonly number[];
}

const job = JSON.parse(process.argv[2]!) as SlowRanksJob;
const engine = await startEngine({
  device: "cpu",
  threads: 1,
  collective: new URL("./slow-mpi.js", import.meta.url),
});
const sum = sumOverPeers(engine);
const { rank } = engine.peers!;
const { graph, step } = await openStep(engine, job.model, job.step);
const elements = parametersOf(graph).reduce((total, { shape }) => total + product(shape), 0);
const found = { plain: [] as number[], slowed: [] as number[] };
// The first sets up what later ones use.
await step();
for (const name of Array.from({ length: job.step.repeats }, () => ["plain", "slowed"] as const).flat()) {
  // Milliseconds over elements is what counts: both are summed.
  await sum([name === "slowed" ? job.milliseconds : 0, elements, 0]);
  found[name].push((await timed(step)).seconds);
}
if (rank === 0) process.stdout.write(`${JSON.stringify(found satisfies SlowRanksFound)}\n`);
await engine.peers!.close();
await engine[Symbol.asyncDispose]();
