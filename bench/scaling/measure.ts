import { fileURLToPath } from "node:url";
import { product } from "../../src/base/mod.ts";
import { graphFlops } from "../../src/graph/mod.ts";
import { KANDINSKY3_UNET, unetGraph, unetParameters } from "../../src/models/mod.ts";
import { PIECES } from "../../src/train/mod.ts";
import type { Context } from "../compare.ts";
import type { StepResult } from "../jobs.ts";
import { median } from "../measure.ts";
import { run, visitOurs } from "../processes.ts";
import { type GradientSize, planBuckets } from "./buckets.ts";
import {
  allreduceSeconds,
  fitLink,
  type Link,
  type Sample,
  type Step,
  slowed,
  stepSeconds,
} from "./model.ts";
import type { RanksFound, RanksJob } from "./ranks.ts";
import type { SlowRanksFound, SlowRanksJob } from "./slow-ranks.ts";

/** Expected steps of one workload over one network. */
export interface Expectation {
  readonly workload: string;
  readonly link: string;
  readonly nodes: readonly Expected[];
}

export interface Expected {
  readonly nodes: number;
  /** Seconds of a step, gradients sent while more are computed. */
  readonly seconds: number;
  /** Seconds of one node alone over those. */
  readonly efficiency: number;
  /** The same where they are sent after the backward pass. */
  readonly efficiencyAfter: number;
}

/** What the group found. */
export interface Scaling {
  readonly step: Omit<StepResult, "gradients"> & {
    readonly gradientBytes: number;
    readonly deviation: number;
  };
  readonly bucketBytes: number;
  /** Two processes on this machine. */
  readonly allreduce?: {
    readonly library: string;
    readonly samples: readonly Sample[];
    readonly link: Link;
    /** Largest share by which a sample differs from the link's. */
    readonly worstMisfit: number;
    /** A step with naps for computation, as measured with two processes and as the model says. */
    readonly stepSeconds: number;
    readonly expectedStepSeconds: number;
  };
  /** Training steps of two processes with half of the batch each, and with a wire that is slower by so much. */
  readonly together?: SlowRanksFound & { readonly milliseconds: number };
  /** Why there is no measurement, and so nothing to expect. */
  readonly absent?: string;
  readonly expected: readonly Expectation[];
}

export const NODES = [1, 2, 4, 8, 16, 32, 64, 100, 256, 416] as const;

/** Of the buckets in which gradients are exchanged: as many as the trainer's pieces. */
function bucketBytesOf(gradients: readonly GradientSize[]): number {
  return bytesOf(gradients) / PIECES;
}

const RANKS = fileURLToPath(new URL("./ranks.js", import.meta.url));
const SLOW_RANKS = fileURLToPath(new URL("./slow-ranks.js", import.meta.url));

/** What all sums of gradients together are made to take longer. */
const SLOWED_MILLISECONDS = 100;

/**
 * Assumed: the backward pass does twice the work of the forward pass (each product has two derivatives), and the
 * optimiser's share of a step is counted with it.
 */
const FORWARD_SHARE = 1 / 3;

/** Assumed networks: seconds of a message and of a byte on the wire. */
const WIRES: Readonly<Record<string, Link>> = {
  "InfiniBand 100 Gb/s": { alpha: 2e-6, beta: 8 / 100e9 },
  "Ethernet 25 Gb/s": { alpha: 20e-6, beta: 8 / 25e9 },
  "Ethernet 10 Gb/s": { alpha: 30e-6, beta: 8 / 10e9 },
};

/** Measures a training step and sums of two processes here, and expects from them what many nodes would do. */
export async function scaling(context: Context): Promise<Scaling> {
  const { scale, scratch, threads, tell, signal } = context;
  const outputs = `${scratch}/step-none`;
  const job = {
    kind: "step" as const,
    model: scale.trained,
    inputs: outputs,
    outputs,
    threads,
    cases: [scale.step],
  };
  const [measured] = await visitOurs(job, (line) => tell(`scaling: ${line}`), signal);
  const { gradients, ...step } = measured!;
  const seconds = median(step.seconds);
  const deviation = deviationOf(step.seconds);
  const bucketBytes = bucketBytesOf(gradients);
  const found = {
    step: { ...step, gradientBytes: bytesOf(gradients), deviation },
    bucketBytes,
  };
  tell("scaling: two processes");
  const asked = { bytes: scale.sums.bytes, repeats: scale.sums.repeats, step: NAP, gradients, bucketBytes };
  const ranks = await askRanks<RanksFound>(RANKS, asked satisfies RanksJob, signal);
  if ("absent" in ranks) return { ...found, ...ranks, expected: [] };
  tell("scaling: steps of two processes over a slow wire");
  const slow = {
    model: scale.trained,
    step: { ...scale.step, batch: scale.step.batch / 2 },
    milliseconds: SLOWED_MILLISECONDS,
  };
  const together = await askRanks<SlowRanksFound>(SLOW_RANKS, slow satisfies SlowRanksJob, signal);
  if ("absent" in together) return { ...found, ...together, expected: [] };

  const link = fitLink(ranks.samples);
  const misfits = ranks.samples.map((one) =>
    Math.abs(allreduceSeconds(link, 2, one.bytes) / one.seconds - 1),
  );
  const flopsPerSecond = (3 * step.forwardFlops) / seconds;
  const workloads = [
    { name: `this U-Net, ${step.name}`, seconds, gradients },
    {
      name: `Kandinsky 3's U-Net, ${FULL.batch} pictures of 256 pixels a node`,
      seconds: (3 * graphFlops(unetGraph(KANDINSKY3_UNET, FULL))) / flopsPerSecond,
      gradients: fullGradients(),
    },
  ];
  return {
    ...found,
    allreduce: {
      ...ranks,
      link,
      worstMisfit: Math.max(...misfits),
      expectedStepSeconds: stepSeconds(NAP, planBuckets(gradients, bucketBytes), link, 2, true),
    },
    together: { ...together, milliseconds: SLOWED_MILLISECONDS },
    expected: workloads.flatMap((workload) =>
      Object.entries(WIRES).map(([name, wire]) => ({
        workload: workload.name,
        link: name,
        nodes: expect(workload, { alpha: wire.alpha + link.alpha, beta: wire.beta + link.beta }, deviation),
      })),
    ),
  };
}

/** The computation of the step that two processes exchange gradients in, in seconds. */
const NAP: Step = { forward: 0.1, backward: 0.2, update: 0 };

/** The full U-Net's batch on a node: pictures of 256 pixels, so 32 latent cells a side. */
const FULL = { batch: 8, width: 32, height: 32, contextLength: 128, steps: 1 };

function fullGradients(): GradientSize[] {
  const shapes = unetParameters(KANDINSKY3_UNET);
  return shapes.map(({ name, shape }) => ({ name, size: product(shape) }));
}

function expect(
  { seconds, gradients }: { readonly seconds: number; readonly gradients: readonly GradientSize[] },
  link: Link,
  deviation: number,
): Expected[] {
  const alone = { forward: seconds * FORWARD_SHARE, backward: seconds * (1 - FORWARD_SHARE), update: 0 };
  const buckets = planBuckets(gradients, bucketBytesOf(gradients));
  return NODES.map((nodes) => {
    const step = slowed(alone, nodes, deviation);
    const overlapped = stepSeconds(step, buckets, link, nodes, true);
    return {
      nodes,
      seconds: overlapped,
      efficiency: seconds / overlapped,
      efficiencyAfter: seconds / stepSeconds(step, buckets, link, nodes, false),
    };
  });
}

/** What the first of two processes found that run a program with a job. */
async function askRanks<F>(
  program: string,
  job: RanksJob | SlowRanksJob,
  signal: AbortSignal,
): Promise<F | { readonly absent: string }> {
  try {
    const { stdout: version } = await run("mpirun", ["--version"], signal);
    // Open MPI wants to be told that this is a test on few cores, perhaps in a container.
    const options = version.includes("Open MPI")
      ? ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"]
      : [];
    const args = [...options, "-n", "2", process.execPath, program, JSON.stringify(job)];
    const { code, stdout, stderr } = await run("mpirun", args, signal);
    if (code === 0) return JSON.parse(stdout) as F;
    return { absent: stderr.trim().split("\n")[0] ?? `exit code ${code}` };
  } catch (error) {
    signal.throwIfAborted();
    return {
      absent: `${error instanceof Error ? error.message : error}; install Open MPI (Debian: apt install openmpi-bin)`,
    };
  }
}

function bytesOf(gradients: readonly GradientSize[]): number {
  return 4 * gradients.reduce((sum, { size }) => sum + size, 0);
}

/** The standard deviation as a share of the mean. */
function deviationOf(values: readonly number[]): number {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(values.length - 1, 1);
  return Math.sqrt(variance) / mean;
}
