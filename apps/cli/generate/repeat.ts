import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { KandinskyError } from "../../../src/base/mod.ts";
import { type PictureFormat, readMetadata } from "../../../src/image/mod.ts";
import {
  embeddedModelNamed,
  Kandinsky3,
  type LoraInfo,
  type ModelInfo,
  type OpenFile,
  type Operation,
  type PictureRequest,
  REQUESTS,
} from "../../../src/pipelines/mod.ts";
import { type Context, styled } from "../context.ts";
import { filmAt, repeatFilm } from "../films/repeat.ts";
import { draw, given } from "./draw.ts";
import { deviceOf, formatOf, type MachineOptions, type OutputOptions } from "./options.ts";
import { planOutput } from "./output.ts";

/** The settings that every command writes into what it makes. The request itself is checked by the library. */
const settingsSchema = z.object({
  kandinsky: z.literal(1),
  operation: z.enum(Object.keys(REQUESTS) as [Operation, ...Operation[]]),
  model: z.string(),
  /** Pictures of older versions have none. */
  fingerprint: z.string().optional(),
  loras: z.array(z.object({ name: z.string(), weight: z.number(), hash: z.string() })).default([]),
  request: z.custom<PictureRequest>((value) => typeof value === "object" && value !== null),
});

interface RepeatOptions extends MachineOptions, OutputOptions {
  readonly input: readonly string[];
}

/** `kandinsky repeat`. */
export async function runRepeat(context: Context, command: Command): Promise<number> {
  const path = command.args[0]!;
  const film = await filmAt(path);
  return film === undefined
    ? repeatPicture(context, command, path)
    : repeatFilm(context, command, film, path);
}

async function repeatPicture(context: Context, command: Command, path: string): Promise<number> {
  const options = command.opts<RepeatOptions>();
  const { output, overwrite = false, json = false, preview, cache, model, lora: loras } = options;
  const { threads, memory } = options;
  const device = deviceOf(options.device);
  const bytes = await readImage(path);
  const settings = settingsOf(bytes, path);
  const format = output === undefined ? formatOfBytes(bytes) : formatOf(undefined, output);
  await using kandinsky = await Kandinsky3.load({
    cache,
    loras,
    model: model ?? (await embeddedModelNamed(settings.model)),
    ...given({ device, threads, memory }),
  });
  checkSame(context, settings, kandinsky.info, model, path);
  const open = inputFinder(path, options.input);
  const job = await kandinsky.resolve(settings.request, open);
  const plan = planOutput(output, format, overwrite, job.pictures.length);
  await draw(context, kandinsky, job, {
    output: plan,
    sheet: false,
    json,
    preview,
    loras,
    device,
    threads,
    memory,
    open,
  });
  return 0;
}

/** What a file or folder was made with and by. */
export interface Made {
  readonly model: string;
  readonly fingerprint?: string | undefined;
  readonly loras: readonly LoraInfo[];
}

/** Throws where the model is another than the one that made a file and nobody named it; says what else differs. */
export function checkSame(
  context: Context,
  made: Made,
  used: ModelInfo,
  model: string | undefined,
  path: string,
): void {
  checkModel(context, made.model, used.name, model, path);
  compareWeights(context, made, used);
  compareLoras(context, made.loras, used.loras);
}

/** Finds the files that a picture was made from; the library refuses a file with another hash. */
function inputFinder(picture: string, given: readonly string[]): OpenFile {
  return async (name, wanted) => (await findInput(name, wanted, picture, given)).bytes;
}

/**
 * A file of which a name and perhaps a hash is known: among those given, in the current folder and beside `beside`.
 * The nearest where none has the hash. Throws `file_missing`.
 */
export async function findInput(
  name: string,
  wanted: string | undefined,
  beside: string,
  given: readonly string[],
): Promise<{ readonly path: string; readonly bytes: Uint8Array }> {
  const named = wanted === undefined ? given.filter((path) => basename(path) === name) : given;
  const places = [...named, name, join(dirname(beside), name)];
  let nearest: { readonly path: string; readonly bytes: Uint8Array } | undefined;
  for (const path of places) {
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes === undefined) continue;
    const found = { path, bytes };
    if (wanted === undefined || createHash("sha256").update(bytes).digest("hex") === wanted) return found;
    nearest ??= found;
  }
  if (nearest !== undefined) return nearest;
  throw new KandinskyError("file_missing", {
    what: "cannot find a file that it was made from",
    where: name,
    hint: "name it with --input",
  });
}

async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const what = "cannot read the picture";
    throw new KandinskyError("file_missing", { what, where: path, hint: "check the name" }, { cause });
  }
}

function settingsOf(bytes: Uint8Array, where: string): z.output<typeof settingsSchema> {
  const { json } = readMetadata(bytes, where);
  const parsed = settingsSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new KandinskyError("input_missing", {
    what: "the picture's settings are not those of this program",
    where,
    seen: json === undefined ? "settings of another program" : "settings of another version",
    wanted: "a picture that `kandinsky generate` wrote",
  });
}

/** Another model draws another picture: the user must have meant it. */
function checkModel(context: Context, made: string, used: string, model: string | undefined, where: string) {
  if (made === used) return;
  const { text, stderr } = context;
  const words = text.repeat.otherModel(made, used);
  if (model !== undefined) {
    stderr.write(`${styled(context, "note", text.run.warning)}: ${words}\n`);
    return;
  }
  throw new KandinskyError("model_missing", { what: words, where, hint: text.repeat.nameModel });
}

/** A model of the same name may have got other weights since. */
function compareWeights(context: Context, made: Made, used: ModelInfo) {
  if (made.model !== used.name || made.fingerprint === undefined || made.fingerprint === used.fingerprint)
    return;
  const { text, stderr } = context;
  const words = text.repeat.otherWeights(made.fingerprint, used.fingerprint);
  stderr.write(`${styled(context, "note", text.run.warning)}: ${words}\n`);
}

/** Other LoRAs draw another picture, which may be what is wanted: it is said, and drawn. */
function compareLoras(context: Context, made: readonly LoraInfo[], used: readonly LoraInfo[]) {
  const { text, stderr } = context;
  const key = ({ hash, weight }: LoraInfo) => `${hash} ${weight}`;
  if (made.map(key).sort().join() === used.map(key).sort().join()) return;
  const list = (loras: readonly LoraInfo[]) =>
    loras.map(({ name, weight }) => `${name}:${weight}`).join(", ");
  const words = text.repeat.otherLoras(list(made), list(used));
  stderr.write(`${styled(context, "note", text.run.warning)}: ${words}\n`);
}

/** By the first byte; `readMetadata` has refused everything else. */
function formatOfBytes(bytes: Uint8Array): PictureFormat {
  if (bytes[0] === 0x89) return "png";
  return bytes[0] === 0xff ? "jpeg" : "webp";
}
