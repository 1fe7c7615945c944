import { realpath } from "node:fs/promises";
import type { Command } from "commander";
import { type LoraFile, readLora } from "../../../src/adapters/mod.ts";
import { KandinskyError, nearest, product } from "../../../src/base/mod.ts";
import { checkOutput } from "../../../src/image/mod.ts";
import { type LoraChoice, openUNet, withLoras, writeMerged } from "../../../src/pipelines/mod.ts";
import { formatShape } from "../../../src/tensor/mod.ts";
import { type Context, print } from "../context.ts";
import { pathOf } from "../models/names.ts";
import { startProgress } from "../progress.ts";
import { formatTable } from "../table.ts";
import { formatCount } from "../units.ts";

interface LoraOptions {
  readonly lora: readonly LoraChoice[];
  readonly model?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
}

type Action = (context: Context, paths: readonly string[], options: LoraOptions) => Promise<void>;

/** Each action with the number of paths that it takes. */
const ACTIONS: Readonly<Record<string, readonly [paths: number, run: Action]>> = {
  inspect: [1, inspect],
  merge: [2, merge],
};

/** `kandinsky lora`. */
export async function runLora(context: Context, command: Command): Promise<number> {
  const [action, ...paths] = command.args as [string, ...string[]];
  const found = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (found === undefined) {
    const names = Object.keys(ACTIONS);
    const close = nearest(action, names);
    throw new KandinskyError("option_unknown", {
      what: "unknown name",
      where: "kandinsky lora",
      seen: JSON.stringify(action),
      wanted: names.join(", "),
      ...(close === undefined ? {} : { hint: context.text.errors.didYouMean(close) }),
    });
  }
  const [count, run] = found;
  if (paths.length !== count) {
    throw new KandinskyError("option_invalid", {
      what: paths.length < count ? context.text.errors.missingArgument : context.text.errors.excessArgument,
      where: `kandinsky lora ${action}`,
      hint: context.text.errors.seeHelp("kandinsky lora"),
    });
  }
  const [first, ...rest] = paths as [string, ...string[]];
  await run(context, [await pathOf(context, first), ...rest], command.opts<LoraOptions>());
  return 0;
}

/** What a LoRA changes; with a model also whether it fits, which is an error where it does not. */
async function inspect(context: Context, [file]: readonly string[], { model, json }: LoraOptions) {
  const lora = await readLora(file!);
  if (json) print(context, JSON.stringify(reportOf(lora), undefined, 2));
  else for (const line of describe(context, lora)) print(context, line);
  if (model === undefined) return;
  await withLoras(await openUNet(model), [{ file: file! }]);
  if (!json) print(context, context.text.lora.fits(model));
}

function reportOf({ name, hash, modules, strangers }: LoraFile) {
  const layers = modules.map(({ module, naming, down, up, alpha }) => ({
    layer: module,
    naming,
    rank: down?.shape[0],
    alpha: alpha ?? down?.shape[0],
    down: down?.shape,
    up: up?.shape,
  }));
  return { name, hash, layers, strangers: strangers.map((entry) => entry.name) };
}

function describe({ text: { lora: t }, language }: Context, lora: LoraFile): string[] {
  const { layers, name, strangers } = reportOf(lora);
  const namings = [...new Set(layers.map(({ naming }) => naming))];
  const parameters = layers.reduce((sum, { down, up }) => sum + sizeOf(down) + sizeOf(up), 0);
  const cell = (value: number | undefined) => (value === undefined ? "-" : `${value}`);
  const shape = (value: readonly number[] | undefined) => (value === undefined ? "-" : formatShape(value));
  const rows = layers.map(({ layer, rank, alpha, down, up }) => [
    layer,
    cell(rank),
    cell(alpha),
    shape(down),
    shape(up),
  ]);
  const { columns: c } = t;
  return [
    t.heading(name, namings.join(", ") || "-"),
    "",
    ...formatTable([[c.layer, c.rank, c.alpha, c.down, c.up], ...rows], [1, 2]),
    "",
    t.total(formatCount(layers.length, language), formatCount(parameters, language)),
    ...(strangers.length === 0 ? [] : [t.strangers(strangers.join(", "))]),
  ];
}

function sizeOf(shape: readonly number[] | undefined): number {
  return shape === undefined ? 0 : product(shape);
}

/** Writes a U-Net with LoRAs worked in; the model's own files are never replaced. */
async function merge(
  context: Context,
  [model, out]: readonly string[],
  { lora, overwrite, json }: LoraOptions,
) {
  if (lora.length === 0) {
    throw new KandinskyError("input_missing", {
      what: "there is no LoRA to merge",
      where: "--lora",
      hint: "name a file and its weight: --lora style.safetensors:0.8",
    });
  }
  const adapted = await withLoras(await openUNet(model!), lora);
  const { entries } = adapted.unet.part;
  await checkTarget(out!, new Set([...entries.values()].map(({ file }) => file)), overwrite ?? false);
  const total = [...entries.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const progress = startProgress(context);
  let done = 0;
  try {
    await writeMerged(adapted, out!, (bytes) => {
      // Thrown inside the writer, which then removes its unfinished file.
      if (context.signal.aborted) throw new KandinskyError("cancelled", { what: context.text.run.stopped });
      done += bytes;
      progress.update({ label: context.text.lora.merging, fraction: done / total });
    });
  } finally {
    progress.clear();
  }
  print(context, json ? JSON.stringify({ type: "merged", path: out, loras: adapted.loras }) : out!);
}

/** Refuses the model's own files, and others that exist unless they may be replaced. */
async function checkTarget(out: string, sources: ReadonlySet<string>, overwrite: boolean): Promise<void> {
  const there = await realpath(out).catch(() => undefined);
  if (there !== undefined && sources.has(there)) {
    throw new KandinskyError("output_exists", {
      what: "a merged U-Net cannot replace a file that it is made from",
      where: out,
      hint: "choose another name",
    });
  }
  await checkOutput(out, { overwrite });
}
