import { checkBuckets } from "../data/mod.ts";
import { tensorFromPicture } from "../image/mod.ts";
import { PackStore, passesFor, SUBJECTS_FILE, tellHole, withoutHole } from "../pipelines/mod.ts";
import { foldIn, type Key } from "../random/mod.ts";
import { listedSubjects } from "../scenes/mod.ts";
import { concatRows, row } from "../tensor/mod.ts";
import { type DiffusionSamples, diffusionGraph, NULL_EMBEDDING } from "../train/mod.ts";
import type { RunOf, Size } from "./config.ts";
import { type DiffusionStage, objectiveOf, openDiffusionStage } from "./diffusion-stage.node.ts";
import { exportModel } from "./export.node.ts";
import { openFrozen } from "./frozen.node.ts";
import { drawHoles } from "./holes.ts";
import { inpaintingUNet, plainUNet } from "./inpainting-unet.ts";
import { KEYS, type Learner, type Workplace } from "./learner.ts";
import { ALONE } from "./share.ts";
import { drawSheet, type HoledPicture } from "./sheet.node.ts";
import { openSource, type SourceBatch, subjectsOf } from "./source.node.ts";
import { firstWeights } from "./weights.node.ts";

type Config = RunOf<"diffusion">;

/** U-Net and text projection, on pictures with captions that go through the frozen parts of the model. */
export async function openDiffusion(config: Config, workplace: Workplace): Promise<Learner> {
  const { engine, model, key, threads } = workplace;
  for (const { sizes } of config.stages) checkBuckets(sizes, model.info.unit);
  const passes = await passesFor(engine);
  const workshop = { engine, store: new PackStore(model.folder.root, true, () => {}) };
  const frozen = openFrozen(workshop, model, config.tokens, passes);
  const { cell } = model.info;
  const { inpainting } = config;
  const unet = inpainting === undefined ? plainUNet(model) : inpaintingUNet(model);
  const objective = objectiveOf(config, model);
  const holesOf = ({ pictures, texts, objects }: SourceBatch, everything: number, at: Key, first = 0) => {
    const wholes = pictures.map((picture, i) => ({ ...picture, text: texts[i]!, objects: objects[i]! }));
    return drawHoles(wholes, everything, at, first);
  };
  /** Pictures with holes for sheets, of a draw that no stage has. */
  const holesApart = async (stage: Config["stages"][number], size: Size): Promise<HoledPicture[]> => {
    const apart = foldIn(key, KEYS.apart);
    const source = await openSource({
      data: config.data,
      // Data may not fill a batch that is larger than the stage's.
      stage: { ...stage, sizes: [size] },
      rank: ALONE,
      key: apart,
      cursor: undefined,
      cache: workplace.cache,
      objects: true,
      onSkipped: () => {},
      onPrepare: () => {},
    });
    const batch = await source.next();
    await source.close();
    return holesOf(batch, 0, apart)
      .map((holed, i) => ({ ...holed, picture: batch.pictures[i]! }))
      .filter(({ keep }) => keep.includes(1));
  };
  /** The batch as the frozen parts see it; pictures with holes where the run is for inpainting. */
  const samplesOf = async (batch: SourceBatch, at: Key): Promise<DiffusionSamples> => {
    const { pictures, texts } = batch;
    const images = pictures.map(tensorFromPicture);
    if (inpainting === undefined) {
      return { latents: await frozen.latentsOf(images), ...(await frozen.statesOf(texts)) };
    }
    const first = workplace.rank.rank * pictures.length;
    const holed = holesOf(batch, inpainting.everything, at, first);
    const masked = pictures.map((picture, i) => withoutHole(picture, holed[i]!.keep));
    const both = await frozen.latentsOf([...images, ...masked]);
    const rows = Array.from({ length: both.shape[0]! }, (_, i) => row(both, i));
    const latents = rows.slice(0, images.length);
    const told = holed.map(({ keep }, i) => tellHole(keep, pictures[i]!, cell, rows[images.length + i]!));
    const states = await frozen.statesOf(holed.map(({ text }) => text));
    return { latents: concatRows(latents), extra: concatRows(told), ...states };
  };
  let opened: DiffusionStage | undefined;
  return {
    exports: "model",
    firstWeights: () => firstWeights(model, unet.config, config.start, foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor) {
      opened = await openDiffusionStage({
        ...{ config, objective, workplace, trainer, index, cursor },
        objects: inpainting !== undefined,
        rowsOf: async (batch, update) => ({
          samples: await samplesOf(batch, foldIn(foldIn(key, KEYS.holes), update)),
        }),
        graphOf: (shape) => diffusionGraph(unet.config, shape, objective.profile),
      });
      return opened;
    },
    measure: async () => opened?.measure(),
    async export(_, averaged, target) {
      const weights = new Map(averaged);
      weights.delete(NULL_EMBEDDING);
      await exportModel(
        model,
        {
          part: "unet",
          weights,
          nullEmbedding: averaged.get(NULL_EMBEDDING),
          files: {
            ...(unet.file === undefined ? {} : { "unet/config.json": unet.file }),
            ...(config.data.kind === "scenes"
              ? {
                  [SUBJECTS_FILE]: `${JSON.stringify(listedSubjects(await subjectsOf(config.data.subjects)))}\n`,
                }
              : {}),
          },
        },
        target,
      );
    },
    async drawSheet(exported, { index }, file) {
      const { sheets, stages } = config;
      if (sheets === undefined) return false;
      const stage = stages[index]!;
      const size = stage.sizes[0]!;
      const holes = inpainting === undefined ? [] : await holesApart(stage, size);
      const shown = holes.slice(0, sheets.prompts.length);
      await drawSheet({ sheets, holes: shown, model: exported, ...size, threads, file });
      return true;
    },
    close: frozen.dispose,
  };
}
