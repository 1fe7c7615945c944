/**
 * What one of the processes does that `peers.test.ts` starts, with `mpirun` or alone: the job is the first argument, as
 * JSON. The first process prints what it found, and writes its parameters where the job says.
 */
import { product } from "../base/mod.ts";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { cosineSchedule } from "../diffusion/mod.ts";
import { parametersOf } from "../graph/mod.ts";
import type { UNetConfig } from "../models/mod.ts";
import { mpiModule } from "../mpi/mod.ts";
import { foldIn, keyOf, normal } from "../random/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import { concatRows, float32, row, type Tensor } from "../tensor/mod.ts";
import { diffusionBatch, diffusionGraph, type Objective, type OptimizerConfig, openTrainer } from "./mod.ts";

/** Steps of these optimisers on equal batches. */
export interface StepsJob {
  readonly alone: boolean;
  readonly steps: number;
  /** Parts that each process works its rows in. */
  readonly parts: number;
  readonly optimizers: readonly (keyof typeof OPTIMIZERS)[];
  /** Where the parameters go: `OUT-NAME.safetensors`. */
  readonly out: string;
}

/** Mean losses of all steps by optimiser. */
export type StepsFound = Readonly<Record<string, readonly number[]>>;

const ADAMW: OptimizerConfig = {
  betas: [0.9, 0.99],
  epsilon: 1e-8,
  weightDecay: 0.01,
  decays: ({ shape }) => shape.length > 1,
  clip: 1,
  halfLives: [40],
};

/**
 * Without moments and with an epsilon beside which gradients are nothing, AdamW is gradient descent with the rate over
 * that epsilon.
 */
const LARGE = 1e9;
const OPTIMIZERS = {
  adamw: { config: ADAMW, learningRate: 1e-3 },
  sgd: {
    config: { ...ADAMW, betas: [0, 0], epsilon: LARGE, weightDecay: 0 },
    learningRate: 0.05 * LARGE,
  },
} as const satisfies Readonly<Record<string, { config: OptimizerConfig; learningRate: number }>>;

const TINY: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  blockOutChannels: [16, 32],
  layersPerBlock: 2,
  groups: 4,
  attentionHeadDim: 8,
  timeEmbeddingDim: 16,
  crossAttentionDim: 16,
  encoderHidDim: 12,
};

const OBJECTIVE: Objective = {
  schedule: cosineSchedule(),
  prediction: "v_prediction",
  weighting: "even",
  dropout: 0.3,
  profile: "native",
};
const TOKENS = 5;
const KEY = keyOf(11);

function parametersFor(config: UNetConfig): Map<string, Tensor> {
  const shape = { batch: 1, height: 8, width: 8, contextLength: TOKENS };
  const shapes = parametersOf(diffusionGraph(config, shape, OBJECTIVE.profile));
  return new Map(
    shapes.map(({ name, shape: own }, i) => {
      const scale = 1 / Math.sqrt(product(own.slice(1)));
      const values = normal(foldIn(foldIn(KEY, 0), i), own).data;
      return [
        name,
        float32(
          own,
          values.map((x) => (own.length === 1 ? 0.1 * x : scale * x)),
        ),
      ];
    }),
  );
}

/** Rows of the batch of a step, of `total` in all. */
function feedsOf(step: number, side: number, first: number, count: number, total: number) {
  const at = foldIn(foldIn(KEY, 1), step);
  const mine = (whole: Tensor<"float32">) =>
    concatRows(Array.from({ length: count }, (_, i) => row(whole, first + i)));
  const samples = {
    latents: mine(normal(foldIn(at, 0), [total, 4, side, side])),
    hidden: mine(normal(foldIn(at, 1), [total, TOKENS, TINY.encoderHidDim])),
    tokens: Array.from({ length: count }, (_, i) => 1 + ((first + i) % TOKENS)),
  };
  return diffusionBatch(samples, OBJECTIVE, foldIn(at, 2), { within: { first, total } }).feeds;
}

const BATCH = 8;

async function steps(engine: Engine, job: StepsJob): Promise<StepsFound> {
  const { rank, size } = engine.peers ?? { rank: 0, size: 1 };
  const rows = BATCH / size / job.parts;
  const shape = { batch: rows, height: 8, width: 8, contextLength: TOKENS };
  const found: Record<string, number[]> = {};
  for (const name of job.optimizers) {
    const { config, learningRate } = OPTIMIZERS[name];
    const parameters = parametersFor(TINY);
    const trained = [...parameters.keys()];
    const state = { updates: 0, samples: 0, parameters };
    const trainer = await openTrainer({ engine, trained, optimizer: config, state });
    const program = await trainer.prepare(name, diffusionGraph(TINY, shape, OBJECTIVE.profile));
    const losses: number[] = [];
    for (let step = 0; step < job.steps; step++) {
      const parts = Array.from({ length: job.parts }, (_, part) =>
        feedsOf(step, 8, (rank * job.parts + part) * rows, rows, BATCH),
      );
      losses.push((await trainer.step(program, parts, { learningRate, samples: BATCH })).loss);
    }
    found[name] = losses;
    if (rank > 0) continue;
    const after = (await trainer.state()).parameters;
    const tensors = [...after].map(([one, tensor]) => ({ name: one, tensor }));
    await writeSafetensors(`${job.out}-${name}.safetensors`, tensors, {});
  }
  return found;
}

const job = JSON.parse(process.argv[2]!) as StepsJob;
const engine = await startEngine({
  device: "cpu",
  threads: 1,
  ...(job.alone ? {} : { collective: mpiModule() }),
});
const found = await steps(engine, job);
if ((engine.peers?.rank ?? 0) === 0) process.stdout.write(`${JSON.stringify(found)}\n`);
await engine.peers?.close();
await engine[Symbol.asyncDispose]();
