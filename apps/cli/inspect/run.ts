import { join } from "node:path";
import type { Command } from "commander";
import { product } from "../../../src/base/mod.ts";
import {
  inspectModel,
  type ModelReport,
  type PartReport,
  type SizeReport,
  type TensorReport,
} from "../../../src/pipelines/mod.ts";
import { formatShape } from "../../../src/tensor/mod.ts";
import { type Context, print } from "../context.ts";
import { pathOf } from "../models/names.ts";
import { formatTable } from "../table.ts";
import { formatBytes, formatCount } from "../units.ts";
import type { Size } from "../values.ts";

interface InspectOptions {
  readonly size: readonly Size[];
  readonly json?: boolean;
}

/** `kandinsky inspect`. */
export async function runInspect(context: Context, command: Command): Promise<number> {
  const { size, json = false } = command.opts<InspectOptions>();
  const path = await pathOf(context, command.args[0]!);
  const report = await inspectModel(path, size);
  if (json) print(context, JSON.stringify(report, undefined, 2));
  else for (const line of describe(report, path, context)) print(context, line);
  return 0;
}

function describe(report: ModelReport, path: string, context: Context): string[] {
  const { inspect: t } = context.text;
  const heading = `${report.name}: ${t.kinds[report.kind]}`;
  const parts = partTable(report.parts, context);
  if (report.kind !== "model") return [heading, "", ...parts, "", ...tensorTable(report.parts[0]!)];
  return [
    heading,
    "",
    ...parts,
    ...report.parts.flatMap((part) => ["", `${part.name}:`, ...groupTable(part, context)]),
    ...vocabularyLines(report.vocabulary, context),
    "",
    t.shapes(`kandinsky inspect ${join(path, "unet")}`),
    ...report.sizes.flatMap((size) => ["", ...sizeTable(size, context)]),
  ];
}

/** Names of what a small model knows, in the user's language where the list has it. */
function vocabularyLines(vocabulary: ModelReport["vocabulary"], { text, language }: Context): string[] {
  if (vocabulary === undefined) return [];
  const names = vocabulary.map(
    (labels) => labels[language] ?? labels["en"] ?? Object.values(labels)[0] ?? "",
  );
  const lines = [""];
  for (const [i, name] of names.entries()) {
    const word = i + 1 < names.length ? `${name},` : name;
    if (lines.at(-1)!.length + word.length >= LINE) lines.push("");
    lines.push(`${lines.pop()} ${word}`);
  }
  return ["", text.inspect.knows(names.length), ...lines.map((line) => ` ${line}`)];
}

const LINE = 98;

function partTable(parts: readonly PartReport[], { text, language }: Context): string[] {
  const { columns: c, total } = text.inspect;
  const sum = (key: "parameters" | "storedBytes" | "computedBytes") =>
    parts.reduce((all, part) => all + part[key], 0);
  const rows = parts.map((part) => [part.name, part.tensors.length, part.parameters, part] as const);
  const all = {
    storedBytes: sum("storedBytes"),
    computedBytes: sum("computedBytes"),
    dtypes: [...new Set(parts.flatMap(({ dtypes }) => dtypes))],
  };
  const tensors = parts.reduce((count, part) => count + part.tensors.length, 0);
  const shown = parts.length === 1 ? rows : [...rows, [total, tensors, sum("parameters"), all] as const];
  const cells = shown.map(([name, count, parameters, { dtypes, storedBytes, computedBytes }]) => [
    name,
    formatCount(count, language),
    formatCount(parameters, language),
    dtypes.join(", "),
    formatBytes(storedBytes, language),
    formatBytes(computedBytes, language),
  ]);
  const header = [c.part, c.tensors, c.parameters, c.types, c.stored, c.computed];
  return formatTable([header, ...cells], [1, 2, 4, 5]);
}

/** Tensors by the first words of their names: `down_blocks.0`, `decoder.mid_block`. */
function groupTable({ tensors }: PartReport, { text, language }: Context): string[] {
  const { columns: c } = text.inspect;
  const groups = new Map<string, TensorReport[]>();
  for (const tensor of tensors) {
    const key = groupOf(tensor.name);
    groups.set(key, [...(groups.get(key) ?? []), tensor]);
  }
  const rows = [...groups].sort(byNumbers).map(([name, members]) => [
    `  ${name}`,
    formatCount(members.length, language),
    formatCount(
      members.reduce((sum, { shape }) => sum + product(shape), 0),
      language,
    ),
    [...new Set(members.map(({ dtype }) => dtype))].join(", "),
  ]);
  return formatTable([[`  ${c.group}`, c.tensors, c.parameters, c.types], ...rows], [1, 2]);
}

function groupOf(name: string): string {
  const words = name.split(".");
  const numbered = words.slice(0, 3).findIndex((word) => /^\d+$/.test(word));
  return words.slice(0, numbered === -1 ? Math.min(2, words.length - 1) : numbered + 1).join(".");
}

function byNumbers([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a.localeCompare(b, "en", { numeric: true });
}

function tensorTable({ tensors }: PartReport): string[] {
  return formatTable(
    tensors.map(({ name, dtype, shape }) => [name, dtype, formatShape(shape)]),
    [],
  );
}

function sizeTable({ width, height, stages }: SizeReport, { text, language }: Context): string[] {
  const { inspect: t } = text;
  const { columns: c } = t;
  const bytes = (count: number) => formatBytes(count, language);
  const rows = stages.map(({ stage, flops, weightBytes, activationBytes }) => [
    `  ${t.stages[stage]}`,
    new Intl.NumberFormat(language, { maximumSignificantDigits: 4 }).format(flops / 1e9),
    bytes(weightBytes),
    bytes(activationBytes),
    bytes(weightBytes + activationBytes),
  ]);
  const header = [`  ${c.stage}`, c.work, c.weights, c.activations, c.together];
  const peak = Math.max(...stages.map((stage) => stage.weightBytes + stage.activationBytes));
  return [
    t.sizeHeading(`${width}x${height}`),
    ...formatTable([header, ...rows], [1, 2, 3, 4]),
    t.peak(bytes(peak)),
  ];
}
