import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { readWeightFile, type TensorEntry } from "../checkpoint/mod.ts";
import { evaluationTimes, NOISE_SOURCES, PROFILES, SAMPLERS } from "../diffusion/mod.ts";
import type { Graph } from "../graph/mod.ts";
import { t5Graph, unetGraph } from "../models/mod.ts";
import { runPasses, shadowLayers } from "../passes/mod.ts";
import { type Program, startEngine } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { contextOf, denoiserOfNetwork, evaluatorOf, ladderOf } from "./denoise.node.ts";
import type { Job, PictureJob } from "./job.ts";
import { type OpenedModel, readNullEmbedding } from "./model.node.ts";
import { type BoundPart, PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import { foldPart, loadFolded, loadWithCasts, type Workshop } from "./program.node.ts";
import {
  quantizable,
  uniformPlan,
  type WeightPartName,
  type WeightPrecision,
  writeQuantizedPart,
} from "./quantize.node.ts";
import { resolveRequest } from "./resolve.ts";
import { encodeText, rangesOf } from "./t5-runner.node.ts";
import { encoderInputs, planText, type TextPlan, unetMasks } from "./text.ts";
import { fixedFeeds, stepOf, type UNetInputs, UNetRunner } from "./unet-runner.node.ts";

/** What rounding a layer's weight does to its result: power of the error over power of the result. */
export interface LayerError {
  readonly name: string;
  readonly errors: Readonly<Record<"int8" | "int4", number>>;
}

const ROUNDED = ["int8", "int4"] as const;

export interface CalibrateOptions {
  /** What is drawn meanwhile. */
  readonly prompts: readonly string[];
  readonly threads?: number;
  /** Told of passes through a network, of all that will be. */
  readonly onPass?: (done: number, total: number) => void;
}

/** Steps of a picture, and at which of them layers are measured: noise, shapes, details. */
const STEPS = 25;
const MEASURED_STEPS = [0, 8, 16, 24];

/**
 * Draws pictures (without decoding them) and measures on the values met what rounding would do to each layer's result,
 * for the parts asked for. Rounded copies of the weights lie in the system's folder for temporary files meanwhile.
 * Throws `model_config` for a U-Net that needs more than a latent: it does not draw from a text alone.
 */
export async function calibrate(
  model: OpenedModel,
  parts: readonly WeightPartName[],
  { prompts, threads, onPass = () => {} }: CalibrateOptions,
): Promise<ReadonlyMap<WeightPartName, readonly LayerError[]>> {
  const { inChannels, outChannels } = model.unet.config;
  if (parts.includes("unet") && inChannels !== outChannels) {
    throw new KandinskyError("model_config", {
      what: "layers are measured on pictures of a text, which this U-Net does not draw",
      where: model.unet.part.folder,
      seen: `${inChannels} input channels`,
      wanted: `${outChannels}`,
      hint: "leave out --size",
    });
  }
  const folder = await mkdtemp(join(tmpdir(), "kandinsky-calibrate-"));
  const store = new PackStore(folder, false, () => {});
  await using engine = await startEngine({ device: "cpu", ...(threads === undefined ? {} : { threads }) });
  const results = new Map<WeightPartName, LayerError[]>();
  try {
    const workshop = { engine, store };
    const total = prompts.length * MEASURED_STEPS.length * parts.filter((name) => name === "unet").length;
    let done = 0;
    for (const name of parts) {
      if (name === "movq") continue;
      const meter = new Meter();
      const part = await withShadows(model, name, folder);
      for (const prompt of prompts) {
        const scene = sceneOf(model, prompt);
        if (name === "text_encoder") await measureText(workshop, model, part, scene, meter);
        else
          await measureUNet(workshop, model, part, scene, meter, () => {
            done += 1;
            onPass(done, total);
          });
      }
      results.set(name, meter.errors());
    }
    return results;
  } finally {
    await store.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Sums of squares of layers over all runs. */
class Meter {
  readonly #sums = new Map<string, number[]>();

  add(layers: readonly { readonly weight: string }[], squares: Float32Array): void {
    const size = 1 + ROUNDED.length;
    layers.forEach(({ weight }, i) => {
      const before = this.#sums.get(weight) ?? new Array<number>(size).fill(0);
      this.#sums.set(
        weight,
        before.map((sum, k) => sum + squares[i * size + k]!),
      );
    });
  }

  errors(): LayerError[] {
    return [...this.#sums].map(([name, [own, int8, int4]]) => ({
      name,
      // A layer whose result is 0 cannot be told apart from a rounded one.
      errors: { int8: own === 0 ? 0 : int8! / own!, int4: own === 0 ? 0 : int4! / own! },
    }));
  }
}

const shadowName = (precision: WeightPrecision, weight: string) => `${precision}/${weight}`;

/** The part with rounded copies of its weights beside them, under names of their own. */
async function withShadows(model: OpenedModel, name: WeightPartName, folder: string): Promise<BoundPart> {
  const { part } = model[name === "text_encoder" ? "text" : (name as "unet")];
  const entries = new Map<string, TensorEntry>(part.entries);
  for (const precision of ROUNDED) {
    const file = join(folder, `${name}-${precision}.safetensors`);
    const plan = uniformPlan(model, name, precision);
    await writeQuantizedPart(model, name, plan, file);
    const rounded = await readWeightFile(file);
    for (const weight of plan.keys()) entries.set(shadowName(precision, weight), rounded.get(weight)!);
  }
  return { ...part, entries };
}

function shadowed(model: OpenedModel, name: WeightPartName, graph: Graph) {
  const weights = new Set(quantizable(model, name).map((weight) => weight.name));
  return shadowLayers(graph, (weight) =>
    weights.has(weight) ? ROUNDED.map((precision) => shadowName(precision, weight)) : [],
  );
}

/** One picture to be drawn: its job and texts. */
interface CalibrationScene {
  readonly job: Job;
  readonly picture: PictureJob;
  readonly plan: TextPlan;
}

function sceneOf(model: OpenedModel, prompt: string): CalibrationScene {
  const request = { prompt, seed: 0, steps: STEPS };
  const job = resolveRequest(request, { ...model.info, scheduler: model.scheduler }, () => 0);
  const guided = PROFILES[job.profile].guides(job.guidance);
  const plan = planText(model.tokenizer, job.pictures, { profile: job.profile, guided, joint: false });
  return { job, picture: job.pictures[0]!, plan };
}

async function measureText(
  workshop: Workshop,
  model: OpenedModel,
  part: BoundPart,
  { plan }: CalibrationScene,
  meter: Meter,
): Promise<void> {
  const { config } = model.text;
  const { ids, maskBias } = encoderInputs(plan);
  let carried: Readonly<Record<string, Tensor>> = { ids, mask_bias: maskBias };
  for (const range of rangesOf(model.text.part, config)) {
    const whole = t5Graph(config, plan.rows.length, plan.paddedLength, range);
    const { graph, layers } = shadowed(model, "text_encoder", whole);
    const program = await loadWithCasts(workshop, part, "text encoder, measured", graph);
    const { squares, ...results } = await runAll(program, carried);
    await program.release();
    meter.add(layers, squares!.data as Float32Array);
    carried = { ...carried, ...results, hidden_before: results["hidden"]! };
  }
}

async function measureUNet(
  workshop: Workshop,
  model: OpenedModel,
  part: BoundPart,
  scene: CalibrationScene,
  meter: Meter,
  onPass: () => void,
): Promise<void> {
  const { inputs, samples } = await drawn(workshop, model, scene);
  const [batch, contextLength] = inputs.context.shape as [number, number, number];
  const shape = {
    batch,
    contextLength,
    height: inputs.height,
    width: inputs.width,
    steps: inputs.times.length,
  };
  const { graph, layers } = shadowed(model, "unet", unetGraph(model.unet.config, shape));
  const passes = await passesFor(workshop.engine);
  const folded = foldPart(runPasses(graph, passes), part);
  const program = await loadFolded(workshop, part, "U-Net, measured", folded, { precision: "stored" });
  for (const { sample, index } of samples) {
    const { squares } = await runAll(program, { ...fixedFeeds(inputs), sample, step: stepOf(index) });
    meter.add(layers, squares!.data as Float32Array);
    onPass();
  }
  await program.release();
}

/** Goes through the steps of a picture, and keeps what the U-Net was given at some of them. */
async function drawn(workshop: Workshop, model: OpenedModel, { job, picture, plan }: CalibrationScene) {
  const { part, config } = model.text;
  const hidden = await encodeText(workshop, part, config, plan);
  const passes = await passesFor(workshop.engine);
  const runner = new UNetRunner(workshop, model.unet.part, model.unet.config, passes);
  runner.use("stored", false);
  const ladder = ladderOf(job, model.scheduler);
  const halves = [...plan.unconditional, ...plan.conditional];
  const needsNull = job.profile === "native" && plan.unconditional.some((half) => half.row === undefined);
  const nullEmbedding = needsNull ? await readNullEmbedding(model) : undefined;
  const inputs: UNetInputs = {
    context: await contextOf(runner, plan, hidden, job.profile, nullEmbedding),
    ...unetMasks(halves, plan.paddedLength, job.profile),
    times: evaluationTimes(ladder),
    height: job.canvas.height / model.info.cell,
    width: job.canvas.width / model.info.cell,
  };
  const prepared = await runner.prepare(inputs);
  const samples: { readonly sample: Tensor<"float32">; readonly index: number }[] = [];
  const recording = {
    ...prepared,
    evaluate: (sample: Tensor<"float32">, index: number) => {
      if (MEASURED_STEPS.includes(index)) samples.push({ sample, index });
      return prepared.evaluate(sample, index);
    },
  };
  const latent = [model.movq.config.vqEmbedDim, inputs.height, inputs.width] as const;
  const noise = NOISE_SOURCES[job.rng]([picture.seed], latent);
  const evaluate = evaluatorOf(recording, plan);
  const denoiser = denoiserOfNetwork(evaluate, plan.unconditional.length > 0, job, model.scheduler);
  const start = { index: 0, x: noise.start };
  for await (const _ of SAMPLERS[job.sampler].run(denoiser, start, ladder, noise.step)) {
    // Only what the network met on the way is wanted.
  }
  await prepared.release();
  await runner.dispose();
  return { inputs, samples };
}

async function runAll(
  program: Program,
  values: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Tensor>>> {
  const feeds = Object.fromEntries(program.inputs.map(({ name }) => [name, values[name]!]));
  const fetches = Object.fromEntries(program.outputs.map(({ name }) => [name, "return" as const]));
  return program.run(feeds, fetches);
}
