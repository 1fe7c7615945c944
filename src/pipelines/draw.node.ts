import { KandinskyError } from "../base/mod.ts";
import {
  addNoise,
  evaluationTimes,
  type Ladder,
  NOISE_SOURCES,
  type NoiseSource,
  PROFILES,
  SAMPLERS,
  type SamplerState,
  stateAfter,
} from "../diffusion/mod.ts";
import { checkPicture, latentPreview, type Picture, pictureFromTensor } from "../image/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";
import { contextOf, denoiserOfBatch, ladderOf } from "./denoise.node.ts";
import type { GenerateEvent, RunState } from "./events.ts";
import type { Inputs } from "./inputs.node.ts";
import type { Job, PictureJob } from "./job.ts";
import { pictureMetadata } from "./metadata.ts";
import { type OpenedModel, readNullEmbedding } from "./model.node.ts";
import type { MovqRunner } from "./movq-runner.node.ts";
import type { PackStore } from "./packing.node.ts";
import type { ResidentPrograms } from "./resident.node.ts";
import { finishPicture, type Scene } from "./scene.node.ts";
import { encodeText } from "./t5-runner.node.ts";
import { planText, type TextPlan, unetMasks } from "./text.ts";
import { findTexts, type TextCache, textKeys } from "./text-cache.node.ts";
import type { PreparedUNet, UNetRunner } from "./unet-runner.node.ts";

/** What lives in the engine's process, made with the first picture and again after a cancelled run. */
export interface Running {
  readonly engine: Engine;
  readonly store: PackStore;
  /** Programs loaded so far. */
  readonly loads: () => number;
  readonly texts: ResidentPrograms;
  readonly textCache: TextCache;
  readonly unet: UNetRunner;
  readonly movq: MovqRunner;
}

/** One run of a job: what all of its pictures share. */
export interface Run {
  readonly model: OpenedModel;
  readonly job: Job;
  readonly inputs: Inputs;
  readonly scene: Scene;
  /** Pictures that are done, by index; grows. */
  readonly done: Set<number>;
  readonly resume: RunState | undefined;
  /** Whether programs stay loaded for the next pictures, or each makes room for the next stage. */
  readonly keepsLoaded: boolean;
}

/** Of the text encoder: used once a picture, its weights may be larger than memory, so nothing is to be gained. */
const PRECISION = "stored";

/** Draws some pictures of a job together. */
export async function* drawGroup(
  run: Run,
  running: Running,
  group: readonly PictureJob[],
): AsyncGenerator<GenerateEvent, void, void> {
  const { model, job, done, resume } = run;
  const { preview, scheduler, info } = model;
  const pictures = group.map(({ index }) => index);
  yield { type: "stage", stage: "encode", pictures };
  const plan = planText(model.tokenizer, textsOf(job, group), {
    profile: job.profile,
    guided: PROFILES[job.profile].guides(job.guidance),
    joint: job.batchText === "joint",
  });
  const { part, config } = model.text;
  const keys = await textKeys(running.engine, part, config, plan, PRECISION);
  const texts = await findTexts(running.textCache, keys, plan, config.dModel);
  yield { type: "texts", pictures, known: texts.known, encoded: texts.missing };
  const hidden = await texts.complete((missing) =>
    encodeText(running, part, config, missing, { resident: running.texts, precision: PRECISION }),
  );
  yield { type: "stage", stage: "prepare", pictures };
  const ladder = ladderOf(job, scheduler);
  const prepared = await prepareUNet(run, running.unet, plan, hidden, ladder);
  yield { type: "stage", stage: "denoise", pictures };

  const noise = NOISE_SOURCES[job.rng](
    group.map(({ seed }) => seed),
    [model.movq.config.vqEmbedDim, job.canvas.height / info.cell, job.canvas.width / info.cell],
  );
  const resumed = resume?.current?.pictures.join() === pictures.join() ? resume.current.sampler : undefined;
  const start = resumed ?? startOf(run.scene, noise, ladder);
  const denoiser = denoiserOfBatch(prepared, plan, job, scheduler);
  let latents = start.x;
  let since = performance.now();
  for await (const step of SAMPLERS[job.sampler].run(denoiser, start, ladder, noise.step)) {
    latents = step.x;
    const seconds = (performance.now() - since) / 1000;
    yield {
      type: "step",
      pictures,
      index: step.index,
      total: step.total,
      seconds,
      previews: preview === undefined ? [] : previewsOf(step.x0, (x0) => latentPreview(x0, preview)),
      state: {
        fingerprint: info.fingerprint,
        job,
        done: [...done],
        current: { pictures, sampler: stateAfter(step) },
      },
    };
    since = performance.now();
  }
  await prepared.release();
  if (!run.keepsLoaded) await running.unet.unload();

  for (const [k, picture] of group.entries()) {
    yield { type: "stage", stage: "decode", pictures: [picture.index] };
    const image = await running.movq.decode(row(latents, k));
    const drawn = pictureFromTensor(image, job.profile === "native" ? "truncate" : "nearest");
    await checkDrawn(drawn, () => running.movq.blameConstant(row(latents, k)));
    const finished = await finishPicture(job, run.inputs, drawn);
    done.add(picture.index);
    yield {
      type: "picture",
      job: picture,
      picture: finished,
      metadata: pictureMetadata(job, picture, info),
      state: { fingerprint: info.fingerprint, job, done: [...done] },
    };
  }
  if (!run.keepsLoaded) await running.movq.unload();
}

/** The texts of a group, and behind them those that are mixed into each. */
function textsOf({ mix }: Job, group: readonly PictureJob[]): readonly PictureJob[] {
  return mix === undefined
    ? group
    : [...group, ...group.map((picture) => ({ ...picture, prompt: mix.prompt }))];
}

/** Noise alone, or noise added to the scene's picture up to the level where the ladder is entered. */
function startOf({ clean }: Scene, noise: NoiseSource, ladder: Ladder): SamplerState {
  if (clean === undefined) return { index: 0, x: noise.start };
  const copies = concatRows(Array.from({ length: noise.start.shape[0]! }, () => clean));
  return { index: 0, x: addNoise(copies, noise.start, ladder[0]!) };
}

async function prepareUNet(
  { model, job }: Run,
  unet: UNetRunner,
  plan: TextPlan,
  hidden: Tensor<"float32">,
  ladder: Ladder,
): Promise<PreparedUNet> {
  const halves = [...plan.unconditional, ...plan.conditional];
  const needsNull = job.profile === "native" && plan.unconditional.some((half) => half.row === undefined);
  const nullEmbedding = needsNull ? await readNullEmbedding(model) : undefined;
  return unet.prepare({
    context: await contextOf(unet, plan, hidden, job.profile, nullEmbedding),
    ...unetMasks(halves, plan.paddedLength, job.profile),
    times: evaluationTimes(ladder),
    height: job.canvas.height / model.info.cell,
    width: job.canvas.width / model.info.cell,
  });
}

/** As `checkPicture`, with the place in the decoder. */
async function checkDrawn(picture: Picture, blame: () => Promise<string>): Promise<void> {
  try {
    checkPicture(picture);
  } catch (error) {
    if (!(error instanceof KandinskyError)) throw error;
    throw new KandinskyError(error.code, { ...error.parts, where: await blame() });
  }
}

function previewsOf(x0: Tensor<"float32">, draw: (x0: Tensor<"float32">) => Picture): Picture[] {
  return Array.from({ length: x0.shape[0]! }, (_, k) => draw(row(x0, k)));
}
