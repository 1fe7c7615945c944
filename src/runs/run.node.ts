import { mkdir, readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import type { Skipped } from "../data/mod.ts";
import { scheduleOf } from "../diffusion/mod.ts";
import { type OpenedModel, openModel, PackStore, passesFor } from "../pipelines/mod.ts";
import { foldIn, type Key, keyOf } from "../random/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import { concatRows, row, type Tensor, tensor } from "../tensor/mod.ts";
import {
  decaysMatrices,
  diffusionBatch,
  diffusionGraph,
  type Objective,
  openTrainer,
  type Trainer,
  type TrainingProgram,
} from "../train/mod.ts";
import { type FoundCheckpoint, hasCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.node.ts";
import { essentials, type RunConfig, type Stage } from "./config.ts";
import { exportModel, replaceFile } from "./export.node.ts";
import { type Frozen, openFrozen } from "./frozen.node.ts";
import { appendRecord, cutRecords, decilesOf, readRecords, type StepRecord } from "./log.node.ts";
import { runPage } from "./page.ts";
import { type Place, placeOf, samplesBefore, totalUpdates } from "./place.ts";
import { drawSheet } from "./sheet.node.ts";
import { openSource, type Source } from "./source.node.ts";
import { firstWeights } from "./weights.node.ts";

export interface RunOptions {
  /** Everything of the run lies here: log, checkpoints, sheets, page, model. */
  readonly folder: string;
  /** Whether to go on from the newest checkpoint. */
  readonly resume: boolean;
  readonly threads?: number;
  /** Aborting it ends the run after the update that it is in, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** What happens in a run. */
export type RunEvent =
  | { readonly type: "prepare"; readonly what: string }
  | { readonly type: "resumed"; readonly update: number; readonly damaged: readonly string[] }
  | { readonly type: "skipped"; readonly skipped: readonly Skipped[] }
  | { readonly type: "stage"; readonly stage: Stage }
  | {
      readonly type: "step";
      readonly record: StepRecord;
      readonly updates: number;
      readonly secondsLeft: number;
    }
  | { readonly type: "checkpoint"; readonly folder: string }
  | { readonly type: "sheet"; readonly file: string }
  | { readonly type: "exported"; readonly folder: string }
  | { readonly type: "ended"; readonly update: number; readonly updates: number };

/**
 * Trains what a config says, from its beginning or from the newest checkpoint, and tells each step. An update is a
 * function of the config and its number alone, so a run that goes on is bit for bit the run that was not interrupted.
 * Throws `option_invalid` where the folder holds a run and `resume` is not set, or one of another config;
 * `result_not_finite` with the name of the tensor, the checkpoints before being whole; `disk_full`; and what opening the
 * model and the data throws.
 */
export async function* runTraining(config: RunConfig, options: RunOptions): AsyncGenerator<RunEvent> {
  const { folder, resume, threads = availableParallelism(), signal } = options;
  const model = await openModel(config.model);
  const saved = {
    folder: join(folder, "checkpoints"),
    essentials: JSON.parse(JSON.stringify(essentials(config))),
  };
  const found = await findStart(saved, resume);
  await mkdir(join(folder, "sheets"), { recursive: true });
  await cutRecords(folder, found?.update ?? 0);
  if (found !== undefined) yield { type: "resumed", update: found.update, damaged: found.damaged };

  const key = keyOf(config.seed);
  await using engine = await startEngine({ device: "cpu", threads });
  const passes = await passesFor(engine);
  const workshop = { engine, store: new PackStore(model.folder.root, true, () => {}) };
  const frozen = openFrozen(workshop, model, config.tokens, passes);
  const parameters =
    found?.state.parameters ?? (await firstWeights(model, config.start, foldIn(key, WEIGHTS)));
  const trainer = await openTrainer({
    engine,
    trained: [...parameters.keys()],
    optimizer: { ...config.optimizer, decays: decaysMatrices, halfLives: config.halfLives },
    state: found?.state ?? { updates: 0, samples: 0, parameters },
  });

  const updates = totalUpdates(config.stages);
  const pending: RunEvent[] = [];
  const run: Running = { config, options, model, key, trainer, frozen, cache: join(folder, "data"), pending };
  const began = performance.now();
  let stage: OpenStage | undefined;
  let update = found?.update ?? 0;
  let cursor: unknown = found?.cursor;
  let sum = { loss: 0, count: 0 };
  const first = update;
  try {
    if (update === 0) yield* drawn(run, update);
    for (
      let place = placeOf(config.stages, update);
      place !== undefined;
      place = placeOf(config.stages, update)
    ) {
      if (signal?.aborted) break;
      if (stage?.index !== place.index) {
        await stage?.close();
        stage = await openStage(run, place, place.within === 0 ? undefined : cursor);
        yield { type: "stage", stage: place.stage };
      }
      const { cursor: after, ...step } = await stepOf(run, stage, place, update);
      cursor = after;
      update += 1;
      sum = { loss: sum.loss + step.loss, count: sum.count + 1 };
      const seconds = (performance.now() - began) / 1000;
      const record: StepRecord = {
        update,
        samples: samplesBefore(config.stages, update),
        stage: place.stage.name,
        ...step,
        learningRate: place.learningRate,
        waiting: stage.source.waiting().share,
        seconds,
      };
      await appendRecord(folder, record);
      yield* pending.splice(0);
      yield { type: "step", record, updates, secondsLeft: ((updates - update) * seconds) / (update - first) };
      const isLast = update === updates || signal?.aborted === true;
      if (isLast || isDue(config, update, config.checkpoints.every)) {
        const position = { update, cursor, loss: sum.loss / sum.count };
        sum = { loss: 0, count: 0 };
        const target = await saveCheckpoint(saved, await trainer.state(), position, config.checkpoints.keep);
        yield { type: "checkpoint", folder: target };
      }
      if (isLast || (config.sheets !== undefined && isDue(config, update, config.sheets.every))) {
        yield* drawn(run, update);
      }
    }
  } finally {
    await stage?.close();
    await frozen.dispose();
  }
  yield { type: "ended", update, updates };
}

/** Uses of the run's key. */
const WEIGHTS = 0;
const DATA = 1;
const OBJECTIVE = 2;

interface Running {
  readonly config: RunConfig;
  readonly options: RunOptions;
  readonly model: OpenedModel;
  readonly key: Key;
  readonly trainer: Trainer;
  readonly frozen: Frozen;
  readonly cache: string;
  /** Told by the data while it is opened or read. */
  readonly pending: RunEvent[];
}

interface OpenStage {
  readonly index: number;
  readonly source: Source;
  programFor(width: number, height: number): Promise<TrainingProgram>;
  close(): Promise<void>;
}

async function findStart(
  saved: Parameters<typeof loadCheckpoint>[0],
  resume: boolean,
): Promise<FoundCheckpoint | undefined> {
  if (resume) return loadCheckpoint(saved);
  if (!(await hasCheckpoint(saved.folder))) return undefined;
  throw new KandinskyError("option_invalid", {
    what: "the folder holds a training run",
    where: saved.folder,
    hint: "go on with --resume, or name another folder with --out",
  });
}

async function openStage(run: Running, { index, stage }: Place, cursor: unknown): Promise<OpenStage> {
  const { config, model, key, trainer, cache, pending } = run;
  const source = await openSource({
    config,
    stage,
    key: foldIn(foldIn(key, DATA), index),
    cursor,
    cache,
    onSkipped: (skipped) => pending.push({ type: "skipped", skipped }),
    onPrepare: (what) => pending.push({ type: "prepare", what }),
  });
  const programs = new Map<string, TrainingProgram>();
  const { cell, profile } = model.info;
  return {
    index,
    source,
    async programFor(width, height) {
      const size = `${width}x${height}`;
      const known = programs.get(size);
      if (known !== undefined) return known;
      const shape = {
        batch: stage.batch / stage.parts,
        height: height / cell,
        width: width / cell,
        contextLength: config.tokens,
      };
      const program = await trainer.prepare(
        `training at ${size}`,
        diffusionGraph(model.unet.config, shape, profile),
      );
      programs.set(size, program);
      return program;
    },
    async close() {
      await source.close();
      for (const program of programs.values()) await program.release();
    },
  };
}

/** One update, and what the log says of it. */
async function stepOf(run: Running, open: OpenStage, { stage, learningRate }: Place, update: number) {
  const { config, model, key, trainer, frozen } = run;
  const began = performance.now();
  const { pictures, texts, cursor } = await open.source.next();
  const { width, height } = pictures[0]!;
  const objective: Objective = {
    schedule: scheduleOf(model.scheduler),
    prediction: model.scheduler.prediction,
    weighting: config.minSnr === undefined ? "even" : { minSnr: config.minSnr },
    dropout: config.dropout,
    profile: model.info.profile,
  };
  const samples = { latents: await frozen.latentsOf(pictures), ...(await frozen.statesOf(texts)) };
  const { feeds, times } = diffusionBatch(samples, objective, foldIn(foldIn(key, OBJECTIVE), update));
  const program = await open.programFor(width, height);
  const parts = partsOf(feeds, stage.parts);
  const result = await trainer.step(program, parts, { learningRate, samples: stage.batch });
  const losses = result.results.flatMap((one) => Array.from(one["losses"]!.data as Float32Array));
  return {
    width,
    height,
    loss: result.loss,
    deciles: decilesOf(times, losses, objective.schedule.alphasCumprod.length),
    gradientNorm: result.gradientNorm,
    samplesPerSecond: stage.batch / ((performance.now() - began) / 1000),
    cursor,
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

/** Whether an update crosses a multiple of so many samples. */
function isDue({ stages }: RunConfig, update: number, every: number): boolean {
  const crossed = (n: number) => Math.floor(samplesBefore(stages, n) / every);
  return crossed(update) > crossed(update - 1);
}

/** Exports the averaged weights as a model, draws a sheet with it and renews the page. */
async function* drawn(
  { config, options, model, trainer }: Running,
  update: number,
): AsyncGenerator<RunEvent> {
  const { folder, threads = availableParallelism() } = options;
  const { averages } = await trainer.state();
  const exported = join(folder, "model");
  await exportModel(model, averages[0]!, exported);
  yield { type: "exported", folder: exported };
  if (config.sheets !== undefined) {
    const { width, height } =
      config.stages[placeOf(config.stages, update)?.index ?? config.stages.length - 1]!.sizes[0]!;
    const file = join(folder, "sheets", `update-${String(update).padStart(9, "0")}.png`);
    await drawSheet({ sheets: config.sheets, model: exported, width, height, threads, file });
    yield { type: "sheet", file };
  }
  const sheets = (await readdir(join(folder, "sheets")))
    .filter((name) => name.endsWith(".png"))
    .sort()
    .reverse();
  const page = runPage({
    title: `Training ${model.info.name}`,
    records: await readRecords(folder),
    updates: totalUpdates(config.stages),
    sheets: sheets.map((name) => ({ file: `sheets/${name}`, update: Number(name.match(/\d+/)![0]) })),
  });
  await replaceFile(join(folder, "index.html"), page);
}
