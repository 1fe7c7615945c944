import { join } from "node:path";
import {
  LORA_FILES,
  type LowRankChange,
  lowRankPass,
  moduleOf,
  newChanges,
  writeLora,
} from "../adapters/mod.ts";
import { KandinskyError } from "../base/mod.ts";
import { checkBuckets } from "../data/mod.ts";
import { tensorFromPicture } from "../image/mod.ts";
import { unetLayerWeights } from "../models/mod.ts";
import { runPasses } from "../passes/mod.ts";
import { type OpenedModel, PackStore, passesFor } from "../pipelines/mod.ts";
import { foldIn } from "../random/mod.ts";
import { concatRows } from "../tensor/mod.ts";
import { type DiffusionSamples, diffusionGraph } from "../train/mod.ts";
import type { RunOf, Size } from "./config.ts";
import { type DiffusionStage, objectiveOf, openDiffusionStage, type Rows } from "./diffusion-stage.node.ts";
import { replaceFolder } from "./export.node.ts";
import { openFrozen } from "./frozen.node.ts";
import { initialWeights } from "./initial.ts";
import { KEYS, type Learner, type Workplace } from "./learner.ts";
import { openPrior, type Prior } from "./prior.node.ts";
import { drawSheet } from "./sheet.node.ts";
import { firstWeights } from "./weights.node.ts";

type Config = RunOf<"lora">;

/**
 * Two small matrices for each layer chosen (Hu et al. 2021), on pictures with captions; the model stays as it is.
 * Throws `option_invalid` for a pattern that no layer has, and for a model made for inpainting.
 */
export async function openLora(config: Config, workplace: Workplace): Promise<Learner> {
  const { engine, model, key, threads } = workplace;
  checkDraws(model);
  for (const { sizes } of config.stages) checkBuckets(sizes, model.info.unit);
  if (config.prior !== undefined) checkAlone(workplace);
  const { targets, rank, alpha = rank, stages } = config;
  const changes = newChanges(unetLayerWeights(model.unet.config), { targets, rank, alpha });
  const pass = lowRankPass(changes);
  const workshop = { engine, store: new PackStore(model.folder.root, true, () => {}) };
  const frozen = openFrozen(workshop, model, config.tokens, await passesFor(engine));
  const objective = objectiveOf(config, model);
  let prior: Promise<Prior> | undefined;
  let opened: DiffusionStage | undefined;

  const withPrior = async (samples: DiffusionSamples, size: Size, update: number): Promise<Rows> => {
    if (config.prior === undefined) return { samples };
    prior ??= openPrior(config.prior, sizesIn(stages), workplace, frozen);
    const own = samples.tokens.length;
    const more = await (await prior).rows(foldIn(foldIn(key, KEYS.prior), update), size, own);
    const { weight } = config.prior;
    return {
      samples: {
        latents: concatRows([samples.latents, more.latents]),
        hidden: concatRows([samples.hidden, more.hidden]),
        tokens: [...samples.tokens, ...more.tokens],
      },
      // The loss is the mean over all rows; this makes it the folder's mean and `weight` times the prior's.
      weights: [...Array<number>(own).fill(2), ...Array<number>(own).fill(2 * weight)],
    };
  };

  return {
    exports: "lora",
    firstWeights: async () =>
      initialWeights(
        "lora",
        changes.flatMap(({ down, up }) => [down, up]),
        foldIn(key, KEYS.weights),
      ),
    frozenWeights: () => firstWeights(model, model.unet.config, "model", foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor) {
      opened = await openDiffusionStage({
        ...{ config, objective, workplace, trainer, index, cursor },
        objects: false,
        rowsOf: async ({ pictures, texts }, update) => {
          const { width, height } = pictures[0]!;
          const latents = await frozen.latentsOf(pictures.map(tensorFromPicture));
          const samples = { latents, ...(await frozen.statesOf(texts)) };
          return withPrior(samples, { width, height }, update);
        },
        graphOf: (shape) => runPasses(diffusionGraph(model.unet.config, shape, objective.profile), [pass]),
      });
      return opened;
    },
    measure: async () => opened?.measure(),
    async export(_, averaged, target) {
      const layers = changes.map(({ target: weight, down, up }: LowRankChange) => ({
        module: moduleOf(weight),
        down: averaged.get(down.name)!,
        up: averaged.get(up.name)!,
      }));
      await replaceFolder(target, (folder) =>
        writeLora(folder, { layers, rank, alpha, base: model.info.name }),
      );
    },
    async drawSheet(exported, { index }, file) {
      const { sheets } = config;
      if (sheets === undefined) return false;
      const { width, height } = stages[index]!.sizes[0]!;
      const loras = [{ file: join(exported, LORA_FILES.diffusers) }];
      await drawSheet({ sheets, model: model.folder.root, loras, width, height, threads, file });
      return true;
    },
    close: frozen.dispose,
  };
}

/** Every size of the stages once. */
function sizesIn(stages: Config["stages"]): Size[] {
  const sizes = stages.flatMap((stage) => stage.sizes);
  return sizes.filter(
    ({ width, height }, i) =>
      sizes.findIndex((other) => other.width === width && other.height === height) === i,
  );
}

function checkAlone({ rank: { world } }: Workplace): void {
  if (world === 1) return;
  throw new KandinskyError("option_invalid", {
    what: "a LoRA with prior preservation is trained by one process",
    where: "prior",
    seen: `${world} processes`,
    hint: "start it without mpirun, or leave out the prior",
  });
}

function checkDraws({ info }: OpenedModel): void {
  if (!info.inpaints) return;
  throw new KandinskyError("option_invalid", {
    what: "a LoRA is trained on a model that draws from text alone",
    where: info.folder,
    seen: "a U-Net made for inpainting",
    hint: "name the model that it was made from",
  });
}
