import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KandinskyError, product } from "../base/mod.ts";
import {
  readCheckpoint,
  type StreamedTensor,
  streamTorchTensor,
  type TorchEntry,
  writeSafetensorsStream,
} from "../checkpoint/mod.ts";
import {
  MOVQ_NAMES,
  type NameRow,
  PROJECTION_NAMES,
  parseT5Config,
  RELEASED_INDEX,
  RELEASED_SCHEDULER,
  releasedConfig,
  renamed,
  UNET_NAMES,
} from "../models/mod.ts";
import { formatShape, ITEM_SIZE } from "../tensor/mod.ts";

/** A file that a conversion writes. */
export interface ConvertedFile {
  readonly path: string;
  readonly tensors: number;
  /** Bytes of values. */
  readonly bytes: number;
}

/** What a conversion did. */
export interface Conversion {
  readonly files: readonly ConvertedFile[];
  /** Tensors of a text model that its encoder does not use, which were left out. */
  readonly dropped: readonly string[];
  /** What the folder still lacks to be drawn with; empty where the output is a file. */
  readonly missing: readonly MissingFile[];
}

/** What a model folder lacks: weights of a part, its configuration, or the tokenizer's files. */
export interface MissingFile {
  readonly kind: "weights" | "config" | "tokenizer";
  readonly path: string;
}

/** A part of a native model: how it is known, and where diffusers keeps it. */
interface Part {
  readonly name: string;
  /** A tensor that every file of this kind has. */
  readonly mark: RegExp;
  readonly names: readonly NameRow[];
  /** Path in a model's folder. */
  readonly file: string;
}

const PARTS = {
  unet: {
    name: "the U-Net",
    mark: /^(unet\.)?in_layer\.weight$/,
    names: UNET_NAMES,
    file: "unet/diffusion_pytorch_model.safetensors",
  },
  projection: {
    name: "the text projection",
    mark: /^0\.weight$/,
    names: PROJECTION_NAMES,
    file: "unet/diffusion_pytorch_model.safetensors",
  },
  movq: {
    name: "the MoVQ",
    mark: /^decoder\.up\.0\.block\.0\.conv1\.weight$/,
    names: MOVQ_NAMES,
    file: "movq/diffusion_pytorch_model.safetensors",
  },
  text: {
    name: "the text encoder",
    mark: /^encoder\.block\.0\.layer\.0\.SelfAttention\.q\.weight$/,
    names: [{ native: "*", diffusers: "*" }],
    file: "text_encoder/model.safetensors",
  },
} as const satisfies Record<string, Part>;

const NULL_EMBEDDING = "null_embedding";
const NULL_EMBEDDING_FILE = "null_embedding.safetensors";
const UNET_PREFIX = "unet.";
const ENCODER_UNUSED = /^(decoder\.|lm_head\.)/;
const TIED = { name: "encoder.embed_tokens.weight", as: "shared.weight" };
/** MoVQ's attention was made of 1x1 convolutions and is of linear layers now. */
const MOVQ_LINEAR = /\.attentions\.\d+\.to_(q|k|v|out\.0)\.weight$/;

/**
 * Writes checkpoints of any format as safetensors with the names of diffusers. Native files of Kandinsky 3 (U-Net
 * with its text projection, MoVQ) and shards of its text encoder go to their places in the model folder
 * `output`, the learned null embedding to the root of it; any other file keeps its names, and `output` is then a
 * file name that ends in .safetensors. Values stay bit for bit. Streamed: memory does not grow with the files.
 * What else the folder needs is put there where it is known and not there yet: configurations of the released parts,
 * scheduler and index, and what lies beside the text encoder's files. `onWritten` gets bytes done and bytes in all.
 * Throws `input_missing`, `output_exists`, `tensor_missing`, `tensor_unexpected`, what `readCheckpoint` throws of a
 * file, and what writing throws.
 */
export async function convertCheckpoints(
  inputs: readonly string[],
  output: string,
  onWritten: (done: number, total: number) => void,
  { overwrite = false }: { readonly overwrite?: boolean } = {},
): Promise<Conversion> {
  const dropped: string[] = [];
  const outputs = new Map<string, StreamedTensor[]>();
  const seen = new Map<keyof typeof PARTS, string>();
  for (const input of inputs) {
    const entries = await readCheckpoint(input);
    const kind = kindOf(entries);
    if (kind === undefined) {
      addTensors(outputs, plainFile(input, inputs, output), entries.map(streamed));
      continue;
    }
    seen.set(kind, input);
    const used = entries.filter(({ name }) => !isUnused(kind, name, entries));
    dropped.push(...entries.filter((entry) => !used.includes(entry)).map(({ name }) => name));
    const { side, rest } = splitNull(kind, used);
    addTensors(outputs, join(output, PARTS[kind].file), renameAll(kind, rest, input));
    if (side !== undefined) addTensors(outputs, join(output, NULL_EMBEDDING_FILE), [side]);
  }
  checkWhole(seen);
  if (!overwrite) for (const path of outputs.keys()) checkFree(path);
  const files = await writeAll(outputs, onWritten);
  if (seen.size === 0) return { files, dropped, missing: [] };
  await onDisk(output, () => writeSmallFiles(outputs, output, seen.get("text")));
  return { files, dropped, missing: await missingFiles(output) };
}

function kindOf(entries: readonly TorchEntry[]): keyof typeof PARTS | undefined {
  const kinds = Object.keys(PARTS) as (keyof typeof PARTS)[];
  return kinds.find((kind) => entries.some(({ name }) => PARTS[kind].mark.test(name)));
}

function plainFile(input: string, inputs: readonly string[], output: string): string {
  if (output.endsWith(".safetensors") && inputs.length === 1) return output;
  throw new KandinskyError("option_invalid", {
    what: "this is no file of a native Kandinsky 3 model",
    where: input,
    seen: `the output ${output}`,
    wanted: "one input, and an output that ends in .safetensors",
    hint: "its tensors keep their names then",
  });
}

function isUnused(kind: keyof typeof PARTS, name: string, entries: readonly TorchEntry[]): boolean {
  if (kind !== "text") return false;
  const isCopy = name === TIED.name && entries.some((entry) => entry.name === TIED.as);
  return isCopy || ENCODER_UNUSED.test(name);
}

function splitNull(kind: keyof typeof PARTS, entries: readonly TorchEntry[]) {
  const found = kind === "unet" ? entries.find(({ name }) => name === NULL_EMBEDDING) : undefined;
  const rest = entries.filter((entry) => entry !== found);
  // The original shapes it as it likes; it is one vector.
  const side = found && { ...streamed(found), shape: [product(found.shape)] };
  return { side, rest };
}

/** Throws `tensor_unexpected` where a name has no counterpart, or where the way back gives another name. */
function renameAll(
  kind: keyof typeof PARTS,
  entries: readonly TorchEntry[],
  input: string,
): StreamedTensor[] {
  const { name: what, names } = PARTS[kind];
  const inner = entries.map(({ name }) =>
    kind === "unet" && name.startsWith(UNET_PREFIX) ? name.slice(UNET_PREFIX.length) : name,
  );
  const levels = inner.map((name) => Number(/^decoder\.up\.(\d+)\./.exec(name)?.[1] ?? 0));
  const top = levels.reduce((a, b) => Math.max(a, b), 0);
  return entries.map((entry, i) => {
    const name = renamed(inner[i]!, names, "diffusers", top);
    if (name === undefined || renamed(name, names, "native", top) !== inner[i]) {
      throw new KandinskyError("tensor_unexpected", {
        what: `cannot convert ${what}`,
        where: input,
        seen: `the tensor "${entry.name}" ${formatShape(entry.shape)}`,
        wanted: "names of Kandinsky 3",
      });
    }
    const isLinear = kind === "movq" && MOVQ_LINEAR.test(name) && entry.shape.length === 4;
    return { ...streamed(entry), name, shape: isLinear ? entry.shape.slice(0, 2) : entry.shape };
  });
}

function streamed(entry: TorchEntry): StreamedTensor {
  return { name: entry.name, dtype: entry.dtype, shape: entry.shape, values: () => streamTorchTensor(entry) };
}

/** Parts of one file come from several: each name once. */
function addTensors(
  outputs: Map<string, StreamedTensor[]>,
  path: string,
  tensors: readonly StreamedTensor[],
) {
  outputs.set(path, [...(outputs.get(path) ?? []), ...tensors]);
}

/** In diffusers the U-Net's file holds the projection too: neither is of use alone. */
function checkWhole(seen: ReadonlyMap<keyof typeof PARTS, string>): void {
  for (const [kind, other, example] of [
    ["unet", "projection", "kandinsky convert kandinsky3.pt projection.pt OUT"],
    ["projection", "unet", "kandinsky convert kandinsky3.pt projection.pt OUT"],
  ] as const) {
    const input = seen.get(kind);
    if (input === undefined || seen.has(other)) continue;
    throw new KandinskyError("input_missing", {
      what: `${PARTS[kind].name} is not whole without ${PARTS[other].name}`,
      where: input,
      hint: `name both files: ${example}`,
    });
  }
}

function checkFree(path: string): void {
  if (!existsSync(path)) return;
  throw new KandinskyError("output_exists", {
    what: "the output exists already",
    where: path,
    hint: "name another output, or replace it with --overwrite",
  });
}

async function writeAll(
  outputs: ReadonlyMap<string, readonly StreamedTensor[]>,
  onWritten: (done: number, total: number) => void,
): Promise<ConvertedFile[]> {
  const files = [...outputs].map(([path, tensors]) => ({
    path,
    tensors: tensors.length,
    bytes: tensors.reduce((sum, { dtype, shape }) => sum + product(shape) * ITEM_SIZE[dtype], 0),
  }));
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const [path, tensors] of outputs) {
    await onDisk(dirname(path), () => mkdir(dirname(path), { recursive: true }));
    await writeSafetensorsStream(path, tensors, { format: "pt" }, (bytes) => {
      done += bytes;
      onWritten(done, total);
    });
  }
  return files;
}

/** Files of a tokenizer that lie beside the text encoder's weights. */
const TOKENIZER_FILES = [
  "spiece.model",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
];

/** The parts of a model's folder, by the kind of file that their weights come from. */
const FOLDERS = [
  ["unet", "unet"],
  ["movq", "movq"],
  ["text", "text_encoder"],
] as const;

/** `textInput`: the file of the text encoder, beside which its configuration and tokenizer may lie. */
async function writeSmallFiles(
  outputs: ReadonlyMap<string, readonly StreamedTensor[]>,
  output: string,
  textInput: string | undefined,
): Promise<void> {
  const beside = textInput === undefined ? undefined : dirname(textInput);
  for (const [kind, part] of FOLDERS) {
    const tensors = outputs.get(join(output, PARTS[kind].file));
    if (tensors === undefined) continue;
    const own = kind === "text" ? await textConfigIn(beside!) : undefined;
    const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
    const config = own ?? releasedConfig(part, shapes);
    if (config !== undefined) await writeNew(join(output, part, "config.json"), config);
  }
  await writeNew(join(output, "scheduler", "scheduler_config.json"), RELEASED_SCHEDULER);
  await writeNew(join(output, "model_index.json"), RELEASED_INDEX);
  for (const name of beside === undefined ? [] : TOKENIZER_FILES) {
    const [source, target] = [join(beside!, name), join(output, "tokenizer", name)];
    if (!existsSync(source) || existsSync(target)) continue;
    await mkdir(dirname(target), { recursive: true });
    await copyFile(source, target);
  }
}

/** The configuration of a text encoder in a folder, where it is one that can be used. */
async function textConfigIn(folder: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const path = join(folder, "config.json");
  try {
    const json: unknown = JSON.parse(await readFile(path, "utf8"));
    parseT5Config(json, path);
    return json as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

/** What is there already stays: it may be of somebody who knows better. */
async function writeNew(path: string, json: unknown): Promise<void> {
  if (existsSync(path)) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(json, undefined, 2)}\n`, { flag: "wx" });
}

async function missingFiles(output: string): Promise<MissingFile[]> {
  const missing: MissingFile[] = [];
  for (const [kind, part] of FOLDERS) {
    const config = join(output, part, "config.json");
    const files = await readdir(join(output, part)).catch(() => []);
    if (!files.some((name) => name.endsWith(".safetensors")))
      missing.push({ kind: "weights", path: join(output, PARTS[kind].file) });
    else if (!existsSync(config)) missing.push({ kind: "config", path: config });
  }
  const tokenizer = ["spiece.model", "tokenizer.json"].map((name) => join(output, "tokenizer", name));
  return tokenizer.some((path) => existsSync(path))
    ? missing
    : [...missing, { kind: "tokenizer", path: tokenizer[0]! }];
}

async function onDisk<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const parts = { what: "cannot write the model's folder", where, seen: code ?? message };
    const kind = code === "ENOSPC" || code === "EDQUOT" ? "disk_full" : "output_unwritable";
    throw new KandinskyError(kind, parts, { cause });
  }
}
