import type { Rank } from "../data/mod.ts";
import { scheduleOf } from "../diffusion/mod.ts";
import type { Graph } from "../graph/mod.ts";
import type { OpenedModel } from "../pipelines/mod.ts";
import { foldIn } from "../random/mod.ts";
import { concatRows, float32, row, type Tensor, tensor } from "../tensor/mod.ts";
import {
  type DiffusionSamples,
  type DiffusionShape,
  diffusionBatch,
  type Objective,
  type RowsOf,
  type Trainer,
  type TrainingProgram,
} from "../train/mod.ts";
import type { RunOf } from "./config.ts";
import { KEYS, type OpenStage, type Workplace, wholeBatch } from "./learner.ts";
import { decilesOf, type Figures } from "./log.node.ts";
import { ALONE, shareOf } from "./share.ts";
import { openSource, type SourceBatch, type SourceRequest } from "./source.node.ts";
import { validationFeeds, validationFigures } from "./validation.ts";

/** What a config says of a diffusion objective, whatever of the U-Net learns. */
export type DiffusionSettings = Pick<RunOf<"diffusion">, "data" | "tokens" | "stages" | "dropout" | "minSnr">;

/** The objective of a config, with the schedule and the prediction that the model has. */
export function objectiveOf(
  { dropout, minSnr }: DiffusionSettings,
  { scheduler, info }: OpenedModel,
): Objective {
  return {
    schedule: scheduleOf(scheduler),
    prediction: scheduler.prediction,
    weighting: minSnr === undefined ? "even" : { minSnr },
    dropout,
    profile: info.profile,
  };
}

/** The rows of one update. */
export interface Rows {
  /** At least one row for each picture of the batch; all stages of one run have as many for each. */
  readonly samples: DiffusionSamples;
  /** How much each row counts, beside what its timestep says; all the same without. */
  readonly weights?: readonly number[];
}

export interface DiffusionStageRequest {
  readonly config: DiffusionSettings;
  readonly objective: Objective;
  readonly workplace: Workplace;
  readonly trainer: Trainer;
  /** Number of the stage. */
  readonly index: number;
  readonly cursor: unknown;
  /** Whether `rowsOf` needs to know what lies where in the pictures. */
  readonly objects: boolean;
  /** What an update learns from, made of a batch of the data. */
  readonly rowsOf: (batch: SourceBatch, update: number) => Promise<Rows>;
  /** What is trained, for so many rows of one size. */
  readonly graphOf: (shape: DiffusionShape) => Graph;
}

/** A stage that also measures itself. */
export interface DiffusionStage extends OpenStage {
  /** Loss of the averaged weights on samples kept apart, always the same; undefined where none are kept. */
  measure(): Promise<Figures | undefined>;
}

/** Opens one stage of a diffusion objective: its data, and a program for each size that it meets. */
export async function openDiffusionStage(request: DiffusionStageRequest): Promise<DiffusionStage> {
  const { config, objective, workplace, trainer, index, cursor, objects, rowsOf, graphOf } = request;
  const { key, model, cache, tell } = workplace;
  const stage = config.stages[index]!;
  const share = shareOf("diffusion", stage, workplace.rank);
  const sourceAt = (from: Pick<SourceRequest, "stage" | "key" | "cursor" | "apart" | "rank">) =>
    openSource({
      ...from,
      ...{ data: config.data, cache, objects },
      onSkipped: (skipped) => tell({ type: "skipped", skipped }),
      onPrepare: (what) => tell({ type: "prepare", what }),
    });
  const source = await sourceAt({
    ...{ stage, rank: workplace.rank, key: foldIn(foldIn(key, KEYS.data), index), cursor },
  });
  const programs = new Map<string, TrainingProgram>();
  const programFor = async (rows: number, width: number, height: number): Promise<TrainingProgram> => {
    const size = `${width}x${height}`;
    const known = programs.get(size);
    if (known !== undefined) return known;
    const { cell } = model.info;
    const graph = graphOf({
      batch: rows / share.parts,
      height: height / cell,
      width: width / cell,
      contextLength: config.tokens,
    });
    const program = await trainer.prepare(`training at ${size}`, graph);
    programs.set(size, program);
    return program;
  };
  let apart:
    | { readonly program: TrainingProgram; readonly pictures: number; readonly parts: readonly Feeds[] }
    | undefined;
  /** A batch of samples apart in the stage's first size, made when it is first asked for. */
  const partsApart = async () => {
    const at = foldIn(foldIn(key, KEYS.apart), index);
    const sizes = stage.sizes.slice(0, 1);
    const others = await sourceAt({
      ...{ stage: { ...stage, sizes }, rank: ALONE, key: at, cursor: undefined, apart: true },
    });
    const batch = await others.next();
    await others.close();
    const { width, height } = batch.pictures[0]!;
    const { samples } = await rowsOf(batch, 0);
    const pictures = batch.pictures.length;
    const feeds = validationFeeds(samples, pictures, objective, at);
    // One process measures the whole batch, in parts of the size that all of them train with.
    const { world } = workplace.rank;
    const program = await programFor(samples.latents.shape[0]! / world, width, height);
    return { program, pictures, parts: partsOf(feeds, share.parts * world) };
  };
  return {
    async measure() {
      if (config.data.kind === "files" && config.data.apart === 0) return undefined;
      apart ??= await partsApart();
      const losses: number[] = [];
      for (const part of apart.parts) {
        const results = await trainer.evaluate(apart.program, part, 0);
        losses.push(...(results["losses"]!.data as Float32Array));
      }
      return validationFigures(losses.slice(0, apart.pictures));
    },
    async step(update, learningRate) {
      const batch = await source.next();
      const { width, height } = batch.pictures[0]!;
      const { samples, weights } = await rowsOf(batch, update);
      const { feeds, times } = diffusionBatch(
        samples,
        objective,
        foldIn(foldIn(key, KEYS.objective), update),
        { within: rowsWithin(samples.tokens.length, workplace.rank) },
      );
      const program = await programFor(times.length, width, height);
      const parts = partsOf(weights === undefined ? feeds : weighted(feeds, weights), share.parts);
      const { loss, gradientNorm, results } = await trainer.step(program, parts, {
        learningRate,
        samples: stage.batch,
      });
      const own = results.flatMap((one) => Array.from(one["losses"]!.data as Float32Array));
      const [allTimes, losses] = [await wholeBatch(workplace, times), await wholeBatch(workplace, own)];
      const deciles = decilesOf(allTimes, losses, objective.schedule.alphasCumprod.length);
      return { width, height, loss, deciles, gradientNorm, cursor: batch.cursor };
    },
    waiting: () => source.waiting().share,
    async close() {
      await source.close();
      for (const program of programs.values()) await program.release();
    },
  };
}

/** Which rows of all processes together this one's are. */
function rowsWithin(own: number, { rank, world }: Rank): RowsOf {
  return { first: rank * own, total: world * own };
}

type Feeds = Readonly<Record<string, Tensor>>;

function weighted(feeds: Feeds, weights: readonly number[]): Feeds {
  const { shape, data } = feeds["loss_weights"] as Tensor<"float32">;
  return {
    ...feeds,
    loss_weights: float32(
      shape,
      data.map((value, i) => value * weights[i]!),
    ),
  };
}

/** The only input with another axis before the batch. */
const TIMESTEPS = "timesteps";

/** The inputs of a batch in parts of equal size. */
function partsOf(feeds: Feeds, parts: number): Record<string, Tensor>[] {
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
