import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, extname, join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { LORA_FILES } from "../../../src/adapters/mod.ts";
import { type Launched, launchedBy } from "../../../src/mpi/mod.ts";
import {
  loadRun,
  type RunConfig,
  type RunEvent,
  runTraining,
  type Stage,
  sizesOf,
  smokeOf,
  updatesOf,
} from "../../../src/runs/mod.ts";
import { type Context, print } from "../context.ts";
import { type Progress, startProgress } from "../progress.ts";
import { formatCount } from "../units.ts";

interface Options {
  readonly out?: string;
  readonly resume?: true;
  readonly dry?: true;
  readonly smoke?: true;
  readonly threads?: number;
  readonly json?: true;
}

/** `kandinsky train`. Of the processes that `mpirun` starts the first one speaks for all. */
export async function runTrain(context: Context, command: Command): Promise<number> {
  const together = launchedBy(context.env);
  try {
    return await trainWith(context, command, together);
  } catch (error) {
    if (together !== undefined && together.rank > 0) await beAlone(context, together);
    throw error;
  }
}

/** What all of them find wrong is told by the first, whose end ends the others meanwhile. */
const MOMENT = 2000;

async function beAlone({ stderr, text, signal }: Context, { rank, size }: Launched): Promise<void> {
  await setTimeout(MOMENT, undefined, { signal }).catch(() => {});
  stderr.write(`${text.train.process(rank, size)}\n`);
}

function isFirst(together: Launched | undefined): boolean {
  return together === undefined || together.rank === 0;
}

async function trainWith(
  context: Context,
  command: Command,
  together: Launched | undefined,
): Promise<number> {
  const options = command.opts<Options>();
  const file = command.args[0]!;
  const config = await loadRun(file);
  if (options.dry) {
    if (isFirst(together)) for (const stage of config.stages) print(context, stageLine(context, stage));
    return 0;
  }
  if (!options.smoke) {
    const folder = resolve(options.out ?? basename(file, extname(file)));
    return follow(context, config, folder, { ...options, together });
  }
  const folder = await mkdtemp(join(tmpdir(), "kandinsky-smoke-"));
  try {
    const small = smokeOf(config, together?.size ?? 1);
    return await follow(context, small, folder, { ...options, together });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A stage in one line. */
function stageLine({ text, language }: Context, stage: Stage): string {
  const { name, samples, batch, learningRate } = stage;
  const count = (value: number) => formatCount(value, language);
  const numbers = [samples, batch, updatesOf(stage)].map(count) as [string, string, string];
  return text.train.stage(name, sizesOf(stage), ...numbers, `${learningRate}`);
}

async function follow(
  context: Context,
  config: RunConfig,
  folder: string,
  { resume, threads, json, together }: Options & { readonly together: Launched | undefined },
): Promise<number> {
  const progress = isFirst(together) ? startProgress(context) : SILENT;
  context.takeTime();
  context.signal.addEventListener("abort", () => progress.say(context.text.train.saving), { once: true });
  let complete = true;
  let exported = "";
  const say = json
    ? (event: RunEvent) => print(context, JSON.stringify(event))
    : (event: RunEvent) =>
        (TELL[event.type] as (event: RunEvent, to: Telling) => void)(event, {
          ...{ context, progress, folder, exported, config },
        });
  const tell = isFirst(together) ? say : () => {};
  try {
    const run = runTraining(config, {
      folder,
      resume: resume === true,
      signal: context.signal,
      ...(threads === undefined ? {} : { threads }),
      ...(together === undefined ? {} : { together }),
    });
    for await (const event of run) {
      if (event.type === "exported") exported = event.folder;
      if (event.type === "ended") complete = event.update === event.updates;
      tell(event);
    }
  } finally {
    progress.clear();
  }
  return complete ? 0 : INTERRUPTED;
}

/** Of a process that leaves the word to another. */
const SILENT: Progress = { say: () => {}, update: () => {}, show: () => {}, clear: () => {} };

/** As of every command that Ctrl-C ends. */
const INTERRUPTED = 130;

interface Telling {
  readonly context: Context;
  readonly progress: Progress;
  readonly folder: string;
  /** The folder that was exported last. */
  readonly exported: string;
  readonly config: RunConfig;
}

type Tell = {
  readonly [K in RunEvent["type"]]: (event: Extract<RunEvent, { type: K }>, to: Telling) => void;
};

/** Skipped samples that are named; the rest is counted. */
const NAMED = 5;

/** Three digits are enough to see whether it moves. */
function shortNumber(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** What is said of each event. */
const TELL: Tell = {
  prepare: ({ what }, { context, progress }) =>
    progress.update({ label: context.text.train.preparing, detail: what }),
  resumed: ({ update, damaged }, { context, progress }) => {
    for (const one of damaged) progress.say(context.text.train.damaged(one));
    progress.say(context.text.train.resumed(update));
  },
  skipped: ({ skipped }, { context, progress }) => {
    progress.say(context.text.train.skipped(skipped.length));
    for (const { key, reason, detail } of skipped.slice(0, NAMED))
      progress.say(`  ${key}: ${reason}, ${detail}`);
  },
  stage: ({ stage }, { context, progress }) => progress.say(stageLine(context, stage)),
  step: ({ record, updates, secondsLeft }, { context, progress }) => {
    const { update, loss, gradientNorm, samplesPerSecond, waiting, stage } = record;
    progress.update({
      label: stage,
      detail: context.text.train.step(
        `${update}/${updates}`,
        loss.toFixed(4),
        gradientNorm.toFixed(2),
        samplesPerSecond.toFixed(1),
        (100 * waiting).toFixed(1),
      ),
      fraction: update / updates,
      secondsLeft,
    });
    const { measured } = record;
    if (measured === undefined) return;
    const shown = Object.entries(measured).map(([name, value]) => `${name} ${shortNumber(value)}`);
    progress.say(context.text.train.measured(`${update}`, shown.join(", ")));
  },
  checkpoint: ({ folder }, { context, progress }) => progress.say(context.text.train.saved(folder)),
  sheet: ({ file }, { context, progress }) => progress.say(context.text.train.sheet(file)),
  exported: () => {},
  ended: ({ update, updates }, { context, folder, exported, config }) => {
    const { train } = context.text;
    print(
      context,
      update === updates
        ? train.finished(exported)
        : train.stopped(formatCount(update, context.language), exported),
    );
    if (config.kind === "lora") {
      const file = join(exported, LORA_FILES.diffusers);
      print(context, train.draws(`kandinsky generate PROMPT --model ${config.model} --lora ${file}`));
    }
    print(context, train.page(join(folder, "index.html")));
  },
};
