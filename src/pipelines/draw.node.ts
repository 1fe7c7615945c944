import { KandinskyError } from "../base/mod.ts";
import {
  addNoise,
  type Denoiser,
  evaluationTimes,
  type Ladder,
  type Network,
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
import { decodeCanvas } from "./canvas.node.ts";
import {
  contextOf,
  denoiserOfNetwork,
  evaluatorOf,
  type Known,
  keepingKnown,
  knowingNetwork,
  ladderOf,
  passesAt,
} from "./denoise.node.ts";
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
import { type PicturePrompts, planText, type TextPlan, unetMasks } from "./text.ts";
import { findTexts, type TextCache, textKeys } from "./text-cache.node.ts";
import {
  type Batch,
  batchesOf,
  canvasOf,
  type Layout,
  layOut,
  networkOfTiles,
  noiseOf,
  rowsOf,
} from "./tiles.ts";
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
  const { model, job, scene, done, resume } = run;
  const { preview, scheduler, info } = model;
  const pictures = group.map(({ index }) => index);
  yield { type: "stage", stage: "encode", pictures };
  const layout = layOut(job, group, info.cell, scene.known?.hole);
  const plan = planText(model.tokenizer, textsOf(job, layout.tiles), {
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
  const batches = await prepareBatches(run, running.unet, layout, plan, hidden, ladder);
  yield { type: "stage", stage: "denoise", pictures };

  const canvasNoise = NOISE_SOURCES[job.rng](
    group.map(({ seed }) => seed),
    [model.movq.config.vqEmbedDim, layout.map.height, layout.map.width],
  );
  const noise = noiseOf(layout, canvasNoise);
  const resumed = resume?.current?.pictures.join() === pictures.join() ? resume.current.sampler : undefined;
  const start = resumed ?? startOf(scene, layout, noise, ladder);
  const denoiser = denoiserOfScene(run, networkOfTiles(layout, batches, scene.extra), {
    ladder,
    guided: plan.unconditional.length > 0,
    known: scene.known === undefined ? undefined : knownRows(scene.known, layout, noise),
  });
  const canvasesOf = (rows: Tensor<"float32">) => canvasOf(layout, rows, scene.known?.clean);
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
      previews:
        preview === undefined ? [] : previewsOf(canvasesOf(step.x0), (x0) => latentPreview(x0, preview)),
      state: {
        fingerprint: info.fingerprint,
        job,
        done: [...done],
        current: { pictures, sampler: stateAfter(step) },
      },
    };
    since = performance.now();
  }
  for (const { release } of batches) await release();
  if (!run.keepsLoaded) await running.unet.unload();

  const canvases = canvasesOf(latents);
  for (const [k, picture] of group.entries()) {
    yield { type: "stage", stage: "decode", pictures: [picture.index] };
    const wrap = "windows" in job && job.windows.wrap;
    const image = await decodeCanvas(running.movq, row(canvases, k), info.cell, wrap);
    const drawn = pictureFromTensor(image, job.profile === "native" ? "truncate" : "nearest");
    await checkDrawn(drawn, () => running.movq.blameConstant(row(canvases, k)));
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

/** The texts of all tiles, and behind them those that are mixed into each. */
function textsOf({ mix }: Job, tiles: readonly PicturePrompts[]): readonly PicturePrompts[] {
  return mix === undefined ? tiles : [...tiles, ...tiles.map((tile) => ({ ...tile, prompt: mix.prompt }))];
}

/** Noise alone, or noise added to the scene's picture up to the level where the ladder is entered. */
function startOf({ start }: Scene, layout: Layout, noise: NoiseSource, ladder: Ladder): SamplerState {
  if (start === undefined) return { index: 0, x: noise.start };
  return { index: 0, x: addNoise(repeated(rowsOf(layout, start), noise), noise.start, ladder[0]!) };
}

interface DenoiserParts {
  readonly ladder: Ladder;
  readonly guided: boolean;
  readonly known: Known | undefined;
}

function denoiserOfScene(
  { model, job }: Run,
  network: Network,
  { ladder, guided, known }: DenoiserParts,
): Denoiser {
  const { scheduler } = model;
  if (known === undefined) return denoiserOfNetwork(network, guided, job, scheduler);
  const knowing = knowingNetwork(network, known, ladder, scheduler.prediction);
  return keepingKnown(denoiserOfNetwork(knowing, guided, job, scheduler), known);
}

function knownRows({ clean, hole }: Known, layout: Layout, noise: NoiseSource): Known {
  return { clean: repeated(rowsOf(layout, clean), noise), hole: repeated(rowsOf(layout, hole), noise) };
}

/** One map as a row for every picture; maps that are one for each row stay as they are. */
function repeated(map: Tensor<"float32">, noise: NoiseSource): Tensor<"float32"> {
  const count = noise.start.shape[0]! / map.shape[0]!;
  return concatRows(Array.from({ length: count }, () => map));
}

/** Latent cells that the network sees at once, so that small pictures share the work of a step. */
export const CELLS_TOGETHER = 2048;
/** Pictures, or windows of one, that the network sees at once. */
export const TILES_TOGETHER = 8;

interface PreparedBatch extends Batch {
  readonly release: () => Promise<void>;
}

/** All tiles of pictures at once; windows in batches of one size, of which those with equal texts share a prologue. */
async function prepareBatches(
  { model, job }: Run,
  unet: UNetRunner,
  layout: Layout,
  plan: TextPlan,
  hidden: Tensor<"float32">,
  ladder: Ladder,
): Promise<PreparedBatch[]> {
  const { tiles } = layout;
  const { width, height } = tiles[0]!.at;
  const most = Math.max(1, Math.min(TILES_TOGETHER, Math.floor(CELLS_TOGETHER / (width * height))));
  const needsNull = job.profile === "native" && plan.unconditional.some((half) => half.row === undefined);
  const nullEmbedding = needsNull ? await readNullEmbedding(model) : undefined;
  const times = evaluationTimes(ladder);
  const passes = passesAt(times, plan.unconditional.length > 0, job);
  const known = new Map<string, PreparedPasses>();
  const batches: PreparedBatch[] = [];
  for (const indices of batchesOf(tiles.length, "windows" in job ? most : tiles.length)) {
    // Behind the texts of all tiles stand those that are mixed into them.
    const texts =
      job.mix === undefined ? indices : [...indices, ...indices.map((index) => index + tiles.length)];
    const own = {
      ...plan,
      conditional: texts.map((index) => plan.conditional[index]!),
      unconditional: plan.unconditional.length === 0 ? [] : texts.map((index) => plan.unconditional[index]!),
    };
    const prepare = async (own: TextPlan, indices: readonly number[]) => {
      if (indices.length === 0) return undefined;
      const inputs = {
        context: await contextOf(unet, own, hidden, job.profile, nullEmbedding),
        ...unetMasks([...own.unconditional, ...own.conditional], plan.paddedLength, job.profile),
        times: indices.map((index) => times[index]!),
        height,
        width,
      };
      return unet.prepare(inputs);
    };
    const key = JSON.stringify([...own.unconditional, ...own.conditional]);
    const before = known.get(key);
    const prepared = before ?? {
      guided: await prepare(own, passes.guided),
      plain: await prepare({ ...own, unconditional: [] }, passes.plain),
    };
    known.set(key, prepared);
    batches.push({
      tiles: indices.map((index) => tiles[index]!),
      evaluate: evaluatorOfPasses(prepared, passes, own, job.mix?.weight),
      release: async () => {
        if (before !== undefined) return;
        await prepared.guided?.release();
        await prepared.plain?.release();
      },
    });
  }
  return batches;
}

/** A batch as it is evaluated with guidance, and without: rows for the unconditional halves only where they are used. */
interface PreparedPasses {
  readonly guided: PreparedUNet | undefined;
  readonly plain: PreparedUNet | undefined;
}

function evaluatorOfPasses(
  prepared: PreparedPasses,
  passes: ReturnType<typeof passesAt>,
  plan: TextPlan,
  mix: number | undefined,
): Batch["evaluate"] {
  return (input, { index, guided }) => {
    const kind = guided ? "guided" : "plain";
    const evaluate = evaluatorOf(prepared[kind]!, guided ? plan : { ...plan, unconditional: [] }, mix);
    return evaluate(input, { index: passes[kind].indexOf(index), guided });
  };
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
