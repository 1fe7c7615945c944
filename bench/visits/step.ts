import { join } from "node:path";
import { product } from "../../src/base/mod.ts";
import { openPart, readTensor, type TensorEntry } from "../../src/checkpoint/mod.ts";
import { graphFlops, type ParameterShape, parametersOf } from "../../src/graph/mod.ts";
import { bindUNet } from "../../src/pipelines/mod.ts";
import { foldIn, type Key, keyOf, normal } from "../../src/random/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
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
  const { config, part } = bindUNet(await openPart(join(job.model, "unet")));
  const results: StepResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    const { batch, side, tokens } = one;
    const shape = { batch, height: side, width: side, contextLength: tokens };
    const graph = diffusionGraph(config, shape, "diffusers");
    const shapes = parametersOf(graph);
    await using engine = await startEngine({ device: "cpu", threads: job.threads });
    const trainer = await openTrainer({
      engine,
      trained: shapes.map(({ name }) => name),
      optimizer: OPTIMIZER,
      state: { updates: 0, samples: 0, parameters: await readAll(part.entries, shapes) },
    });
    const program = await trainer.prepare("step", graph);
    const feeds = feedsOf(one, config.inChannels, config.encoderHidDim, keyOf(1));
    const losses: number[] = [];
    const step = async () => {
      losses.push(
        (await trainer.step(program, [feeds], { learningRate: LEARNING_RATE, samples: batch })).loss,
      );
    };
    await step();
    results.push({
      name: one.name,
      batch,
      seconds: await repeated(one.repeats, step),
      losses,
      peakBytes: (await watchMemory(engine).stop(0)).peakBytes,
      forwardFlops: graphFlops(graph),
      gradients: shapes.map(({ name, shape }) => ({ name, size: product(shape) })),
    });
  }
  return results;
};

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
