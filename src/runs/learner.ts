import type { Rank, Skipped } from "../data/mod.ts";
import type { OpenedModel } from "../pipelines/mod.ts";
import type { Key } from "../random/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { SumOver, Trainer } from "../train/mod.ts";
import type { Figures, StepRecord } from "./log.node.ts";
import type { Place } from "./place.ts";

/** What all kinds of runs work with. */
export interface Bench {
  readonly engine: Engine;
  /** The run's key; each kind and the data have uses of their own of it. */
  readonly key: Key;
  /** Where what was found out about data is kept. */
  readonly cache: string;
  readonly threads: number;
  /** Ends what is drawn before the first update. */
  readonly signal?: AbortSignal;
  /** Which of the processes that train together this is; each has its share of every batch, see `shareOf`. */
  readonly rank: Rank;
  /** Sums numbers over these processes. */
  readonly sum: SumOver;
  /** Told while data is opened or read. */
  readonly tell: (
    event:
      | { readonly type: "prepare"; readonly what: string }
      | { readonly type: "skipped"; readonly skipped: readonly Skipped[] },
  ) => void;
}

/** Of the kinds that train a part of a model. */
export interface Workplace extends Bench {
  readonly model: OpenedModel;
}

/** What an update says for the log, and where the data of its stage goes on. */
export interface StepOutcome
  extends Pick<StepRecord, "width" | "height" | "deciles" | "figures" | "loss" | "gradientNorm"> {
  /** Plain data. */
  readonly cursor: unknown;
}

/** One number of each own row, at its place among those of the whole batch: all processes get all of them. */
export async function wholeBatch(
  { rank: { rank, world }, sum }: Pick<Workplace, "rank" | "sum">,
  own: readonly number[],
): Promise<readonly number[]> {
  const all = new Array<number>(own.length * world).fill(0);
  return sum(all.map((_, i) => own[i - rank * own.length] ?? 0));
}

/** A stage with its data and its graphs made ready. */
export interface OpenStage {
  /** Update number `update` of the whole run, counted from 0: a function of the run's key and that number. */
  step(update: number, learningRate: number): Promise<StepOutcome>;
  /** Part of the time that was spent waiting for data. */
  waiting(): number;
  close(): Promise<void>;
}

/** What one kind of run trains, and on what: everything in which kinds differ. */
export interface Learner {
  /** Name of what is exported, in the run's folder. */
  readonly exports: "model" | "lora";
  /** First values of all that is trained, by name. */
  firstWeights(): Promise<Map<string, Tensor>>;
  /** Weights that graphs read and training leaves as they are, where there are any: checkpoints do not hold them. */
  frozenWeights?(): Promise<Map<string, Tensor>>;
  /** Opens the stage of a place at a cursor, which is undefined at its beginning. */
  openStage(trainer: Trainer, place: Place, cursor: unknown): Promise<OpenStage>;
  /** What the averaged weights make of samples kept apart, with the graphs of a stage; none where nothing is kept. */
  measure(trainer: Trainer, place: Place): Promise<Figures | undefined>;
  /** Writes a folder with the averaged weights: a model, or a LoRA. */
  export(trainer: Trainer, averaged: ReadonlyMap<string, Tensor>, target: string): Promise<void>;
  /** Draws a sheet with an exported folder into a file, where the kind draws any; whether it did. */
  drawSheet(exported: string, place: Place, file: string): Promise<boolean>;
  close(): Promise<void>;
}

/** Uses of the run's key. */
export const KEYS = { weights: 0, data: 1, objective: 2, apart: 3, holes: 4, prior: 5 } as const;
