import { scheduleOf } from "../diffusion/mod.ts";
import { tensorFromPicture } from "../image/mod.ts";
import { PackStore, passesFor, tellHole, withoutHole } from "../pipelines/mod.ts";
import { foldIn, type Key } from "../random/mod.ts";
import { concatRows, row, type Tensor, tensor } from "../tensor/mod.ts";
import {
  type DiffusionSamples,
  diffusionBatch,
  diffusionGraph,
  NULL_EMBEDDING,
  type Objective,
  type TrainingProgram,
} from "../train/mod.ts";
import type { RunOf } from "./config.ts";
import { exportModel } from "./export.node.ts";
import { openFrozen } from "./frozen.node.ts";
import { drawHoles } from "./holes.ts";
import { inpaintingUNet, plainUNet } from "./inpainting-unet.ts";
import { KEYS, type Learner, type OpenStage, type Workplace } from "./learner.ts";
import { decilesOf } from "./log.node.ts";
import { drawSheet } from "./sheet.node.ts";
import { openSource, type SourceBatch } from "./source.node.ts";
import { firstWeights } from "./weights.node.ts";

type Config = RunOf<"diffusion">;

/** U-Net and text projection, on pictures with captions that go through the frozen parts of the model. */
export async function openDiffusion(config: Config, workplace: Workplace): Promise<Learner> {
  const { engine, model, key, threads } = workplace;
  const passes = await passesFor(engine);
  const workshop = { engine, store: new PackStore(model.folder.root, true, () => {}) };
  const frozen = openFrozen(workshop, model, config.tokens, passes);
  const { profile, cell } = model.info;
  const { inpainting } = config;
  const unet = inpainting === undefined ? plainUNet(model) : inpaintingUNet(model);
  const objective: Objective = {
    schedule: scheduleOf(model.scheduler),
    prediction: model.scheduler.prediction,
    weighting: config.minSnr === undefined ? "even" : { minSnr: config.minSnr },
    dropout: config.dropout,
    profile,
  };
  /** The batch as the frozen parts see it; pictures with holes where the run is for inpainting. */
  const samplesOf = async (batch: SourceBatch, at: Key): Promise<DiffusionSamples> => {
    const { pictures, texts, objects } = batch;
    const images = pictures.map(tensorFromPicture);
    if (inpainting === undefined) {
      return { latents: await frozen.latentsOf(images), ...(await frozen.statesOf(texts)) };
    }
    const wholes = pictures.map((picture, i) => ({ ...picture, text: texts[i]!, objects: objects[i]! }));
    const holed = drawHoles(wholes, inpainting.everything, at);
    const masked = pictures.map((picture, i) => withoutHole(picture, holed[i]!.keep));
    const both = await frozen.latentsOf([...images, ...masked]);
    const rows = Array.from({ length: both.shape[0]! }, (_, i) => row(both, i));
    const latents = rows.slice(0, images.length);
    const told = holed.map(({ keep }, i) => tellHole(keep, pictures[i]!, cell, rows[images.length + i]!));
    const states = await frozen.statesOf(holed.map(({ text }) => text));
    return { latents: concatRows(latents), extra: concatRows(told), ...states };
  };
  return {
    firstWeights: () => firstWeights(model, unet.config, config.start, foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor): Promise<OpenStage> {
      const stage = config.stages[index]!;
      const source = await openSource({
        data: config.data,
        stage,
        key: foldIn(foldIn(key, KEYS.data), index),
        cursor,
        cache: workplace.cache,
        objects: inpainting !== undefined,
        onSkipped: (skipped) => workplace.tell({ type: "skipped", skipped }),
        onPrepare: (what) => workplace.tell({ type: "prepare", what }),
      });
      const programs = new Map<string, TrainingProgram>();
      const programFor = async (width: number, height: number): Promise<TrainingProgram> => {
        const size = `${width}x${height}`;
        const known = programs.get(size);
        if (known !== undefined) return known;
        const shape = {
          batch: stage.batch / stage.parts,
          height: height / cell,
          width: width / cell,
          contextLength: config.tokens,
        };
        const graph = diffusionGraph(unet.config, shape, profile);
        const program = await trainer.prepare(`training at ${size}`, graph);
        programs.set(size, program);
        return program;
      };
      return {
        async step(update, learningRate) {
          const batch = await source.next();
          const { width, height } = batch.pictures[0]!;
          const samples = await samplesOf(batch, foldIn(foldIn(key, KEYS.holes), update));
          const at = foldIn(foldIn(key, KEYS.objective), update);
          const { feeds, times } = diffusionBatch(samples, objective, at);
          const program = await programFor(width, height);
          const parts = partsOf(feeds, stage.parts);
          const { loss, gradientNorm, results } = await trainer.step(program, parts, {
            learningRate,
            samples: stage.batch,
          });
          const losses = results.flatMap((one) => Array.from(one["losses"]!.data as Float32Array));
          const deciles = decilesOf(times, losses, objective.schedule.alphasCumprod.length);
          return { width, height, loss, deciles, gradientNorm, cursor: batch.cursor };
        },
        waiting: () => source.waiting().share,
        async close() {
          await source.close();
          for (const program of programs.values()) await program.release();
        },
      };
    },
    measure: async () => undefined,
    async export(_, averaged, target) {
      const weights = new Map(averaged);
      weights.delete(NULL_EMBEDDING);
      await exportModel(
        model,
        {
          part: "unet",
          weights,
          nullEmbedding: averaged.get(NULL_EMBEDDING),
          files: unet.file === undefined ? {} : { "unet/config.json": unet.file },
        },
        target,
      );
    },
    async drawSheet(exported, { index }, file) {
      const { sheets, stages } = config;
      if (sheets === undefined) return false;
      const { width, height } = stages[index]!.sizes[0]!;
      await drawSheet({ sheets, model: exported, width, height, threads, file });
      return true;
    },
    close: frozen.dispose,
  };
}

/** The only input with another axis before the batch. */
const TIMESTEPS = "timesteps";

/** The inputs of a batch in parts of equal size. */
function partsOf(feeds: Readonly<Record<string, Tensor>>, parts: number): Record<string, Tensor>[] {
  if (parts === 1) return [{ ...feeds }];
  return Array.from({ length: parts }, (_, part) =>
    Object.fromEntries(
      Object.entries(feeds).map(([name, value]) => {
        const rows =
          name === TIMESTEPS
            ? tensor("float32", value.shape.toReversed(), value.data as Float32Array)
            : value;
        const size = rows.shape[0]! / parts;
        const cut = concatRows(
          Array.from({ length: size }, (_, i) => row(rows as Tensor<"float32">, part * size + i)),
        );
        return [name, name === TIMESTEPS ? tensor("float32", cut.shape.toReversed(), cut.data) : cut];
      }),
    ),
  );
}
