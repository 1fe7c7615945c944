import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import {
  type EvaluationEvent,
  evaluateModel,
  JUDGE_FOLDER,
  modelSubjects,
  openClassifier,
  type Rate,
  type Report,
  type Retrieval,
  type Summary,
  spreadOver,
} from "../../../src/evaluation/mod.ts";
import { Kandinsky3 } from "../../../src/pipelines/mod.ts";
import { startEngine } from "../../../src/runtime/mod.ts";
import {
  ALL_LANGUAGES,
  type Language,
  type Masters,
  openMasters,
  readSeedCodes,
  readSubjects,
  SCENES_CACHE,
  type Subject,
} from "../../../src/scenes/mod.ts";
import { type Context, print } from "../context.ts";
import { known } from "../data/known.ts";
import { pathOf } from "../models/names.ts";
import { type Progress, startProgress } from "../progress.ts";
import { formatTable } from "../table.ts";
import { formatCount } from "../units.ts";
import type { Size } from "../values.ts";

interface Options {
  readonly out: string;
  readonly languages: string;
  readonly seeds: number;
  readonly size: Size;
  readonly count?: number;
  readonly scenes: number;
  readonly steps: number;
  readonly guidance?: number;
  readonly threads?: number;
  readonly json?: true;
}

/** `kandinsky evaluate`. */
export async function runEvaluate(context: Context, command: Command): Promise<number> {
  const options = command.opts<Options>();
  const { threads, guidance } = options;
  const languages = languagesOf(options.languages);
  const folder = await pathOf(context, command.args[0]!);
  await using model = await Kandinsky3.load({
    model: folder,
    ...(threads === undefined ? {} : { threads }),
  });
  const ours = await readSubjects();
  const subjects = await readModelSubjects(join(folder, "subjects.json"), ours, languages);
  const progress = startProgress(context);
  try {
    const codes = [...new Set([...ours, ...subjects].map(({ code }) => code))];
    const masters = await mastersOf(context, progress, codes, subjects);
    await using engine = await startEngine({ device: "cpu", ...(threads === undefined ? {} : { threads }) });
    const classifier = await openClassifier(JUDGE_FOLDER, engine);
    const events = evaluateModel({
      ...{ model, masters, codes, classifier, seedCodes: await readSeedCodes() },
      questions: {
        subjects,
        alone: options.count === undefined ? subjects : spreadOver(subjects, options.count),
        languages,
        seeds: Array.from({ length: options.seeds }, (_, seed) => seed),
        scenes: options.scenes,
      },
      folder: resolve(options.out),
      ...options.size,
      steps: options.steps,
      ...(guidance === undefined ? {} : { guidance }),
      language: context.language,
      signal: context.signal,
    });
    for await (const event of events) tell(context, progress, event, options.json === true);
  } finally {
    progress.clear();
  }
  return 0;
}

function languagesOf(list: string): Language[] {
  const names = [...new Set(list.split(",").map((name) => name.trim()))];
  for (const name of names) known("--languages", name, ALL_LANGUAGES);
  return names as Language[];
}

async function readModelSubjects(
  file: string,
  ours: readonly Subject[],
  languages: readonly Language[],
): Promise<readonly Subject[]> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new KandinskyError("file_missing", {
      what: "the model has no list of what it draws",
      where: file,
      hint: "evaluate a model that comes with a subjects.json, such as nano",
    });
  });
  return modelSubjects(parsed(text), file, ours, languages);
}

/** What is no JSON is no list either. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function mastersOf(
  { text: { data: t } }: Context,
  progress: Progress,
  codes: readonly string[],
  subjects: readonly Subject[],
): Promise<Masters> {
  return openMasters({
    folder: SCENES_CACHE,
    codes,
    styles: [...new Set(subjects.map(({ style }) => style))],
    onStage: (stage) =>
      progress.say("installs" in stage ? t.installing(stage.installs.join(", ")) : t.icons(stage.draws)),
  });
}

function tell(context: Context, progress: Progress, event: EvaluationEvent, json: boolean): void {
  if (json) {
    print(context, JSON.stringify(event));
    return;
  }
  const { evaluate: t } = context.text;
  const count = (value: number) => formatCount(value, context.language);
  switch (event.type) {
    case "start":
      progress.say(t.start(count(event.pictures), count(event.known)));
      break;
    case "drawn":
    case "judged": {
      const { done, pictures } = event;
      progress.update({
        label: event.type === "drawn" ? t.drawing : t.judging,
        detail: `${done}/${pictures}`,
        fraction: done / pictures,
        ...(event.type === "drawn" ? { secondsLeft: event.secondsLeft } : {}),
      });
      break;
    }
    case "report":
      progress.clear();
      for (const line of reportLines(context, event.report)) print(context, line);
      print(context, t.page(event.page));
  }
}

function reportLines({ text: { evaluate: t }, language }: Context, report: Report): string[] {
  const { rates, nearest, judge, grids } = report;
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
  const cell = ({ share, low, high, count }: Rate) =>
    count === 0
      ? ""
      : `${percent.format(share)} (${(100 * low).toFixed(0)}-${(100 * high).toFixed(0)}, ${count})`;
  const found = ({ first, five, firstOfOwn, fiveOfOwn, firstOfSeed }: Retrieval) =>
    [first, five, firstOfOwn, fiveOfOwn, firstOfSeed].map(cell);
  const names = (row: Summary) => [t.groups[row.group], row.language === "all" ? t.all : row.language];
  const rows = rates.map((row) => {
    const other = [row.count, row.relation, row.grid].find((rate) => rate.count > 0);
    const others = [row.background, ...(other === undefined ? [] : [other])].map(cell);
    return [...names(row), ...found(row.features), ...others, ...(other === undefined ? [""] : [])];
  });
  const byColour = rates
    .filter(({ colours }) => colours.first.count > 0)
    .map((row) => [...names(row), ...found(row.colours)]);
  const middle = (values: readonly number[]) => (values[(values.length - 1) / 2] ?? 0).toFixed(3);
  const own = Object.entries(judge.measured).map(([name, share]) => `${name} ${percent.format(share)}`);
  return [
    ...formatTable([t.columns, ...rows], []),
    t.byColour,
    ...formatTable([t.columns.slice(0, COLOUR_COLUMNS), ...byColour], []),
    t.judge(cell(judge.drawings.features.first), cell(judge.others.features.first), own.join(", ")),
    ...(grids === undefined ? [] : [t.grids(grids)]),
    t.nearest(middle(nearest.pictures), middle(nearest.fresh)),
  ];
}

/** Names, and what of single subjects is found. */
const COLOUR_COLUMNS = 7;
