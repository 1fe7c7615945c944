import { join } from "node:path";
import { z } from "zod";
import { gradients } from "../../src/autodiff/mod.ts";
import { openPart, readTensor } from "../../src/checkpoint/mod.ts";
import { buildGraph, type Graph, parametersOf } from "../../src/graph/mod.ts";
import { bindUNet } from "../../src/pipelines/mod.ts";
import { cast, float32, type Tensor } from "../../src/tensor/mod.ts";
import { mean, openTrainer, predictionOf, squared } from "../../src/train/mod.ts";
import { type Context, runGraph } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";
import { additiveMask, DIFFUSERS_MASKED, meanWeights } from "./masks.ts";
import { predict, runnerOf } from "./unet.ts";

export const UNET_GRAD_FILE = "unet-grad.safetensors";

const schema = z.object({
  optimizer: z.object({
    lr: z.number(),
    betas: z.tuple([z.number(), z.number()]),
    eps: z.number(),
    weight_decay: z.number(),
    clip_global_norm: z.number(),
    steps: z.number(),
  }),
  ema: z.object({ decay: z.number() }),
});

/** Prediction, loss, the gradient of every parameter, and weights and averages after some steps. */
export async function unetGrad(context: Context): Promise<void> {
  const fixture = context.fixture(UNET_GRAD_FILE);
  if (fixture === undefined) return;
  const path = fixture.model ?? "unet-grad";
  const model = bindUNet(await openPart(join(context.folder, path)));
  const sample = fixture.float32("sample");
  const hidden = fixture.float32("encoder_hidden_states");
  const mask = fixture.tensor("encoder_attention_mask");
  const times = fixture.integers("timestep");
  const given = { sample, times, mask, masked: DIFFUSERS_MASKED };
  const projected = await runnerOf(context, model).project(hidden);
  fixture.expect("prediction", await predict(context, { model, ...given, context: projected }));

  const [batch, , height, width] = sample.shape as [number, number, number, number];
  const [, contextLength] = mask.shape as [number, number];
  const graph = buildGraph((builder) => {
    const shape = { batch, height, width, contextLength };
    const prediction = predictionOf(builder, model.config, shape, "diffusers");
    const loss = mean(squared(prediction, builder.input("target", "float32", prediction.shape)));
    return { loss, prediction };
  });
  const feeds = {
    sample,
    timesteps: float32([1, batch], times),
    encoder_hidden_states: hidden,
    mask_bias: additiveMask(mask, DIFFUSERS_MASKED),
    pool_weights: meanWeights([batch, contextLength]),
    target: fixture.float32("target"),
  };
  const names = parametersOf(graph).map(({ name }) => name);
  const joint = gradients(graph, { loss: "loss", wrt: names });
  const results = names.map((name) => `grad/${name}`);
  const found = await runGraph(context.workshop, model.part, joint, feeds, results);
  for (const name of results) fixture.expect(name, found.get(name)!);

  const parameters = new Map<string, Tensor>();
  for (const name of names) {
    parameters.set(name, cast(await readTensor(model.part.entries.get(name)!), "float32"));
  }
  await steps(context, fixture, graph, feeds, parameters);
}

/** The fixture's AdamW steps, as the trainer takes them. */
async function steps(
  context: Context,
  fixture: Fixture,
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  parameters: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const { optimizer, ema } = await readJsonAs(context.folder, "unet-grad.json", schema);
  const samples = 1;
  const trainer = await openTrainer({
    engine: context.workshop.engine,
    trained: [...parameters.keys()],
    optimizer: {
      betas: optimizer.betas,
      epsilon: optimizer.eps,
      weightDecay: optimizer.weight_decay,
      // PyTorch's optimiser lets every parameter decay.
      decays: () => true,
      clip: optimizer.clip_global_norm,
      halfLives: [(samples * Math.LN2) / -Math.log(ema.decay)],
    },
    state: { updates: 0, samples: 0, parameters },
  });
  const program = await trainer.prepare("training step", graph);
  const losses: number[] = [];
  const norms: number[] = [];
  for (let i = 0; i < optimizer.steps; i++) {
    const made = await trainer.step(program, [feeds], { learningRate: optimizer.lr, samples });
    losses.push(made.loss);
    norms.push(made.gradientNorm);
  }
  fixture.expect("losses", float32([losses.length], losses));
  fixture.expect("grad_norms", float32([norms.length], norms));
  fixture.expect("prediction_after", (await trainer.evaluate(program, feeds))["prediction"]!);
  await program.release();
  const state = await trainer.state();
  for (const name of parameters.keys()) {
    fixture.expect(`step${optimizer.steps}/${name}`, state.parameters.get(name)!);
    fixture.expect(`ema${optimizer.steps}/${name}`, state.averages[0]!.get(name)!);
  }
}
