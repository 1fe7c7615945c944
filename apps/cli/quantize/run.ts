import type { Command } from "commander";
import { KandinskyError, nearest } from "../../../src/base/mod.ts";
import {
  calibrate,
  type LayerReport,
  type MeasuredErrors,
  type OpenedModel,
  openModel,
  planWithin,
  quantizeModel,
  reportOf,
  uniformPlan,
  WEIGHT_PARTS,
  type WeightPartName,
  type WeightPrecision,
} from "../../../src/pipelines/mod.ts";
import { type Context, print } from "../context.ts";
import { readPrompts } from "../generate/prompts.ts";
import { pathOf } from "../models/names.ts";
import { type Progress, startProgress } from "../progress.ts";
import { formatTable } from "../table.ts";
import { formatBytes, formatCount } from "../units.ts";

interface QuantizeOptions {
  readonly weights: string;
  readonly part: readonly string[];
  readonly size?: number;
  readonly prompts?: string;
  readonly json?: boolean;
}

const PRECISIONS: readonly WeightPrecision[] = ["fp16", "int8", "int4"];

/** What is drawn to measure layers where nothing else is asked for: things, a place, a count, two languages. */
const PROMPTS = ["two red apples on a white plate", "кот сидит на розовом фоне"];

/** `kandinsky quantize`. */
export async function runQuantize(context: Context, command: Command): Promise<number> {
  const { text } = context;
  const { weights, part, size, prompts, json = false } = command.opts<QuantizeOptions>();
  const precision = known("--weights", weights, PRECISIONS);
  const parts = part.map((name) => known("--part", name, WEIGHT_PARTS));
  checkSize(precision, size, prompts);
  const [from, output] = command.args as [string, string];
  const model = await openModel(await pathOf(context, from));
  const progress = startProgress(context);
  try {
    const measured = size === undefined ? undefined : await measure(context, progress, model, parts, prompts);
    const plans =
      measured === undefined
        ? new Map(parts.map((name) => [name, uniformPlan(model, name, precision)]))
        : planWithin(model, parts, precision, measured, size!);
    const layers = measured === undefined ? [] : reportOf(model, measured, plans);
    const written = await quantizeModel(model, output, plans, {
      onWritten: writing(context, progress),
      ...(layers.length === 0 ? {} : { metadata: { kandinsky_calibration: JSON.stringify(layers) } }),
    });
    progress.clear();
    if (json) print(context, JSON.stringify({ parts: written, layers }, undefined, 2));
    else {
      for (const line of layerTable(layers, context)) print(context, line);
      for (const { part: name, bytes, halfBytes } of written) {
        const share = (bytes / halfBytes).toFixed(3);
        print(context, text.quantize.wrote(name, formatBytes(bytes, context.language), share));
      }
    }
  } finally {
    progress.clear();
  }
  return 0;
}

function known<K extends string>(flag: string, name: string, names: readonly K[]): K {
  const found = names.find((one) => one === name);
  if (found !== undefined) return found;
  const close = nearest(name, names);
  throw new KandinskyError("option_unknown", {
    what: "unknown name",
    where: flag,
    seen: JSON.stringify(name),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

function checkSize(precision: WeightPrecision, size: number | undefined, prompts: string | undefined): void {
  if (size !== undefined && precision === "fp16") {
    const what = "--size chooses between roundings, and fp16 has none";
    throw new KandinskyError("option_invalid", { what, where: "--size", wanted: "--weights int8 or int4" });
  }
  if (prompts === undefined || size !== undefined) return;
  const what = "--prompts are for measuring layers, which only --size needs";
  throw new KandinskyError("option_invalid", { what, where: "--prompts", wanted: "--size" });
}

async function measure(
  context: Context,
  progress: Progress,
  model: OpenedModel,
  parts: readonly WeightPartName[],
  file: string | undefined,
): Promise<MeasuredErrors> {
  const { quantize: t } = context.text;
  const prompts = file === undefined ? PROMPTS : await readPrompts([], file, context);
  progress.update({ label: t.measuring, detail: "", fraction: 0 });
  const onPass = (done: number, total: number) => {
    if (context.signal.aborted) throw new KandinskyError("cancelled", { what: t.stopped });
    progress.update({ label: t.measuring, detail: `${done} / ${total}`, fraction: done / total });
  };
  return calibrate(model, parts, { prompts, onPass });
}

/** The bar moves by steps of this part. */
const STEP = 0.01;

function writing({ text, language, signal }: Context, progress: Progress) {
  const { quantize: t } = text;
  let shown = 0;
  return (done: number, total: number) => {
    if (signal.aborted) throw new KandinskyError("cancelled", { what: t.stopped });
    const fraction = done / Math.max(total, 1);
    if (fraction < shown + STEP) return;
    shown = fraction;
    const detail = `${formatBytes(done, language)} / ${formatBytes(total, language)}`;
    progress.update({ label: t.writing, detail, fraction });
  };
}

function layerTable(layers: readonly LayerReport[], { text, language }: Context): string[] {
  if (layers.length === 0) return [];
  const { columns: c } = text.quantize;
  const rows = layers.map(({ part, name, parameters, chosen, decibels }) => [
    `${part}/${name}`,
    formatCount(parameters, language),
    decibels.int8.toFixed(1),
    decibels.int4.toFixed(1),
    chosen,
  ]);
  return [...formatTable([[c.layer, c.parameters, c.int8, c.int4, c.chosen], ...rows], [1, 2, 3]), ""];
}
