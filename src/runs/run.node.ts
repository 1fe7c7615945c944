import { mkdir, readdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import type { Skipped } from "../data/mod.ts";
import { saveText } from "../image/mod.ts";
import { type Launched, mpiModule } from "../mpi/mod.ts";
import { keyOf } from "../random/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import { decaysMatrices, openTrainer, sumOverPeers, type Trainer } from "../train/mod.ts";
import { type FoundCheckpoint, hasCheckpoint, loadCheckpoint, saveCheckpoint } from "./checkpoint.node.ts";
import { essentials, type RunConfig, type Stage } from "./config.ts";
import { prepareLearner } from "./kinds.node.ts";
import type { Learner, OpenStage } from "./learner.ts";
import { appendRecord, cutRecords, readRecords, type StepRecord } from "./log.node.ts";
import { runPage } from "./page.ts";
import { placeOf, samplesBefore, totalUpdates } from "./place.ts";
import { checkBeginning } from "./together.node.ts";

export interface RunOptions {
  /** Everything of the run lies here: log, checkpoints, sheets, page, model. */
  readonly folder: string;
  /** Whether to go on from the newest checkpoint. */
  readonly resume: boolean;
  /** Threads of this process; all that the machine has, shared among the processes on it, unless given. */
  readonly threads?: number;
  /** What `mpirun` says, where it started this process: it trains together with the others. */
  readonly together?: Launched;
  /** Aborting it, in any process, ends the run after the update that it is in, with a checkpoint. */
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
 * Several processes share every batch and keep equal weights; the first of them writes all files. They may be another
 * number when the run goes on.
 * Throws `option_invalid` where the folder holds a run and `resume` is not set, or one of another config;
 * `result_not_finite` with the name of the tensor, the checkpoints before being whole; `disk_full`; and what opening the
 * model and the data throws.
 */
export async function* runTraining(config: RunConfig, options: RunOptions): AsyncGenerator<RunEvent> {
  const { folder, resume, together, signal } = options;
  const threads =
    options.threads ?? Math.max(1, Math.floor(availableParallelism() / (together?.localSize ?? 1)));
  const openLearner = await prepareLearner(config);
  const saved = {
    folder: join(folder, "checkpoints"),
    essentials: JSON.parse(JSON.stringify(essentials(config))),
  };
  const found = await findStart(saved, resume);
  if (found !== undefined) yield { type: "resumed", update: found.update, damaged: found.damaged };

  const pending: RunEvent[] = [];
  const collective = together === undefined ? {} : { collective: mpiModule() };
  await using engine = await startEngine({ device: "cpu", threads, ...collective });
  const { rank, size: world } = engine.peers ?? { rank: 0, size: 1 };
  const sum = sumOverPeers(engine);
  const isWriter = rank === 0;
  const learner = await openLearner({
    engine,
    key: keyOf(config.seed),
    cache: join(folder, "data"),
    threads,
    ...(signal === undefined ? {} : { signal }),
    rank: { rank, world },
    sum,
    tell: (event) => pending.push(event),
  });
  const { stages, checkpoints } = config;
  const updates = totalUpdates(stages);
  const began = performance.now();
  let stage: (OpenStage & { readonly index: number }) | undefined;
  let update = found?.update ?? 0;
  let cursor: unknown = found?.cursor;
  let mean = { loss: 0, count: 0 };
  const first = update;
  const isStopped = async () => (await sum([signal?.aborted === true ? 1 : 0]))[0]! > 0;
  try {
    const state = found?.state ?? { updates: 0, samples: 0, parameters: await learner.firstWeights() };
    const frozen = (await learner.frozenWeights?.()) ?? [];
    const parameters = new Map([...frozen, ...state.parameters]);
    if (world > 1) {
      const beginning = { essentials: saved.essentials, update, cursor: cursor ?? null, parameters };
      await checkBeginning(beginning, folder, sum);
    }
    if (isWriter) {
      await mkdir(join(folder, "sheets"), { recursive: true });
      await cutRecords(folder, update);
    }
    const trainer = await openTrainer({
      engine,
      trained: [...state.parameters.keys()],
      optimizer: { ...config.optimizer, decays: decaysMatrices, halfLives: config.halfLives },
      state: { ...state, parameters },
    });
    const run: Running = { config, folder, learner, trainer };
    if (isWriter && update === 0) yield* drawn(run, update);
    for (let place = placeOf(stages, update); place !== undefined; place = placeOf(stages, update)) {
      if (await isStopped()) break;
      if (stage?.index !== place.index) {
        await stage?.close();
        stage = undefined;
        const opened = await learner.openStage(trainer, place, place.within === 0 ? undefined : cursor);
        stage = { ...opened, index: place.index };
        yield { type: "stage", stage: place.stage };
      }
      const start = performance.now();
      const { cursor: after, ...step } = await stage.step(update, place.learningRate);
      const now = performance.now();
      cursor = after;
      update += 1;
      mean = { loss: mean.loss + step.loss, count: mean.count + 1 };
      const isEnd = update === updates;
      const isKept = isEnd || isDue(config, update, checkpoints.every);
      const measured = isWriter && isKept ? await learner.measure(trainer, place) : undefined;
      const seconds = (now - began) / 1000;
      const record: StepRecord = {
        update,
        samples: samplesBefore(stages, update),
        stage: place.stage.name,
        ...step,
        learningRate: place.learningRate,
        samplesPerSecond: place.stage.batch / ((now - start) / 1000),
        waiting: stage.waiting(),
        seconds,
        ...(measured === undefined ? {} : { measured }),
      };
      if (isWriter) await appendRecord(folder, record);
      yield* pending.splice(0);
      yield { type: "step", record, updates, secondsLeft: ((updates - update) * seconds) / (update - first) };
      const isLast = (await isStopped()) || isEnd;
      if (!isWriter) continue;
      if (isKept || isLast) {
        const position = { update, cursor, loss: mean.loss / mean.count };
        mean = { loss: 0, count: 0 };
        const target = await saveCheckpoint(saved, await trainer.state(), position, checkpoints.keep);
        yield { type: "checkpoint", folder: target };
      }
      const sheets = "sheets" in config ? config.sheets : undefined;
      const isDrawn = sheets !== undefined && isDue(config, update, sheets.every);
      if (isLast || isDrawn) yield* drawn(run, update);
    }
    await engine.peers?.close();
  } finally {
    await stage?.close();
    await learner.close();
  }
  yield { type: "ended", update, updates };
}

interface Running {
  readonly config: RunConfig;
  readonly folder: string;
  readonly learner: Learner;
  readonly trainer: Trainer;
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

/** Whether an update crosses a multiple of so many samples. */
function isDue({ stages }: RunConfig, update: number, every: number): boolean {
  const crossed = (n: number) => Math.floor(samplesBefore(stages, n) / every);
  return crossed(update) > crossed(update - 1);
}

/** Exports the averaged weights, draws a sheet with it and renews the page. */
async function* drawn(
  { config, folder, learner, trainer }: Running,
  update: number,
): AsyncGenerator<RunEvent> {
  const exported = join(folder, learner.exports);
  await learner.export(trainer, await trainer.averaged(0), exported);
  yield { type: "exported", folder: exported };
  const place = placeOf(config.stages, update) ?? placeOf(config.stages, update - 1)!;
  const file = join(folder, "sheets", `update-${String(update).padStart(9, "0")}.png`);
  if (await learner.drawSheet(exported, place, file)) yield { type: "sheet", file };
  const sheets = (await readdir(join(folder, "sheets")))
    .filter((name) => name.endsWith(".png"))
    .sort()
    .reverse();
  const page = runPage({
    title: `Training ${basename(folder)}`,
    records: await readRecords(folder),
    updates: totalUpdates(config.stages),
    sheets: sheets.map((name) => ({ file: `sheets/${name}`, update: Number(name.match(/\d+/)![0]) })),
  });
  await saveText(join(folder, "index.html"), page);
}
