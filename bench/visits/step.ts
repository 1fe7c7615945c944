import { product } from "../../src/base/mod.ts";
import { openPart, readTensor, type TensorEntry } from "../../src/checkpoint/mod.ts";
import { type Graph, graphFlops, type ParameterShape, parametersOf } from "../../src/graph/mod.ts";
import { bindUNet } from "../../src/pipelines/mod.ts";
import { foldIn, type Key, keyOf, normal } from "../../src/random/mod.ts";
import { type Engine, startEngine } from "../../src/runtime/mod.ts";
import { cast, float32, type Tensor } from "../../src/tensor/mod.ts";
import { decaysMatrices, diffusionGraph, openTrainer } from "../../src/train/mod.ts";
import type { StepCase, StepResult, Visit } from "../jobs.ts";
import { repeated, watchMemory } from "../measure.ts";

const OPTIMIZER = {
  betas: [0.9, 0.99],
  epsilon: 1e-8,
  weightDecay: 0.01,
  decays: decaysMatrices,
  clip: 1,
  halfLives: [10_000],
} as const;

/** What both sides train with. */
export const LEARNING_RATE = 1e-6;

/** Training steps of the model's U-Net as the trainer makes them, on noise. */
export const visitStep: Visit<"step"> = async (job, tell) => {
  const results: StepResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    await using engine = await startEngine({ device: "cpu", threads: job.threads });
    const { graph, step } = await openStep(engine, job.model, one);
    const losses: number[] = [];
    const next = async () => {
      losses.push(await step());
    };
    await next();
    results.push({
      name: one.name,
      batch: one.batch,
      seconds: await repeated(one.repeats, next),
      losses,
      peakBytes: (await watchMemory(engine).stop(0)).peakBytes,
      forwardFlops: graphFlops(graph),
      gradients: parametersOf(graph).map(({ name, shape }) => ({ name, size: product(shape) })),
    });
  }
  return results;
};

/** What it takes to train the U-Net of a folder in an engine; every step learns from the same noise. */
export async function openStep(
  engine: Engine,
  model: string,
  one: StepCase,
): Promise<{ readonly graph: Graph; step(): Promise<number> }> {
  const { config, part } = bindUNet(await openPart(model));
  const { batch, side, tokens } = one;
  const shape = { batch, height: side, width: side, contextLength: tokens };
  const graph = diffusionGraph(config, shape, "diffusers");
  const shapes = parametersOf(graph);
  const trainer = await openTrainer({
    engine,
    trained: shapes.map(({ name }) => name),
    optimizer: OPTIMIZER,
    state: { updates: 0, samples: 0, parameters: await readAll(part.entries, shapes) },
  });
  const program = await trainer.prepare("step", graph);
  const feeds = feedsOf(one, config.inChannels, config.encoderHidDim, keyOf(1));
  const settings = { learningRate: LEARNING_RATE, samples: batch };
  return { graph, step: async () => (await trainer.step(program, [feeds], settings)).loss };
}

/** Nobody but the trainer holds the values, so that they can go once they are in the engine. */
async function readAll(
  entries: ReadonlyMap<string, TensorEntry>,
  shapes: readonly ParameterShape[],
): Promise<ReadonlyMap<string, Tensor>> {
  const values = new Map<string, Tensor>();
  for (const { name } of shapes) values.set(name, cast(await readTensor(entries.get(name)!), "float32"));
  return values;
}

/** The inputs of one step, noise as far as they are not plain numbers. */
export function feedsOf({ batch, side, tokens }: StepCase, channels: number, width: number, key: Key) {
  const filled = (shape: readonly number[], value: number) =>
    float32(shape, new Float32Array(product(shape)).fill(value));
  return {
    sample: normal(foldIn(key, 0), [batch, channels, side, side]),
    target: normal(foldIn(key, 1), [batch, channels, side, side]),
    encoder_hidden_states: normal(foldIn(key, 2), [batch, tokens, width]),
    timesteps: float32(
      [1, batch],
      Array.from({ length: batch }, (_, i) => Math.floor((1000 * i) / batch)),
    ),
    mask_bias: filled([batch, 1, 1, tokens], 0),
    pool_weights: filled([batch, 1, tokens], 1 / tokens),
    loss_weights: filled([batch], 1),
  };
}
