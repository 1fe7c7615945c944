import { scheduleOf } from "../diffusion/mod.ts";
import { PackStore, passesFor } from "../pipelines/mod.ts";
import { foldIn } from "../random/mod.ts";
import { concatRows, row, type Tensor, tensor } from "../tensor/mod.ts";
import {
  diffusionBatch,
  diffusionGraph,
  NULL_EMBEDDING,
  type Objective,
  type TrainingProgram,
} from "../train/mod.ts";
import type { RunOf } from "./config.ts";
import { exportModel } from "./export.node.ts";
import { openFrozen } from "./frozen.node.ts";
import { KEYS, type Learner, type OpenStage, type Workplace } from "./learner.ts";
import { decilesOf } from "./log.node.ts";
import { drawSheet } from "./sheet.node.ts";
import { openSource } from "./source.node.ts";
import { firstWeights } from "./weights.node.ts";

type Config = RunOf<"diffusion">;

/** U-Net and text projection, on pictures with captions that go through the frozen parts of the model. */
export async function openDiffusion(config: Config, workplace: Workplace): Promise<Learner> {
  const { engine, model, key, threads } = workplace;
  const passes = await passesFor(engine);
  const workshop = { engine, store: new PackStore(model.folder.root, true, () => {}) };
  const frozen = openFrozen(workshop, model, config.tokens, passes);
  const { profile, cell } = model.info;
  const objective: Objective = {
    schedule: scheduleOf(model.scheduler),
    prediction: model.scheduler.prediction,
    weighting: config.minSnr === undefined ? "even" : { minSnr: config.minSnr },
    dropout: config.dropout,
    profile,
  };
  return {
    firstWeights: () => firstWeights(model, config.start, foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor): Promise<OpenStage> {
      const stage = config.stages[index]!;
      const source = await openSource({
        data: config.data,
        stage,
        key: foldIn(foldIn(key, KEYS.data), index),
        cursor,
        cache: workplace.cache,
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
        const graph = diffusionGraph(model.unet.config, shape, profile);
        const program = await trainer.prepare(`training at ${size}`, graph);
        programs.set(size, program);
        return program;
      };
      return {
        async step(update, learningRate) {
          const { pictures, texts, cursor: after } = await source.next();
          const { width, height } = pictures[0]!;
          const samples = { latents: await frozen.latentsOf(pictures), ...(await frozen.statesOf(texts)) };
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
          return { width, height, loss, deciles, gradientNorm, cursor: after };
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
        { part: "unet", weights, nullEmbedding: averaged.get(NULL_EMBEDDING) },
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
