import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { constants, copyFile, mkdir, readdir, rename, rm, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { KandinskyError, product } from "../base/mod.ts";
import {
  readTensorAsFloat32,
  type StreamedTensor,
  streamFloat32,
  type TensorEntry,
  writeSafetensorsStream,
} from "../checkpoint/mod.ts";
import {
  type BlockScales,
  encodeWeights,
  fitScales,
  fitsGrid,
  gridOf,
  packPairs,
  type QuantScheme,
  quantizationMetadata,
  quantizedBytes,
  SCALES_SUFFIX,
  SCHEMES,
  type StoredForm,
  toRows,
  ZEROS_SUFFIX,
} from "../quant/mod.ts";
import { cast } from "../tensor/mod.ts";
import { type LayerWeight, layerWeights } from "./layers.ts";
import type { OpenedModel } from "./model.node.ts";
import { PACK_FOLDER } from "./packing.node.ts";

/** How coarse weights are: half floats, or rounded in blocks. */
export type WeightPrecision = "fp16" | "int8" | "int4";

/** The rounding of each precision. */
const ROUNDINGS: Readonly<Record<WeightPrecision, QuantScheme | undefined>> = { fp16: undefined, ...SCHEMES };

/** The parts of a model that have weights. */
export const WEIGHT_PARTS = ["text_encoder", "unet", "movq"] as const;

/** One of `WEIGHT_PARTS`. */
export type WeightPartName = (typeof WEIGHT_PARTS)[number];

/** The precision of each weight of a part: of those that can be rounded, by name; others are half floats. */
export type PrecisionPlan = ReadonlyMap<string, WeightPrecision>;

/** What a part became. */
export interface QuantizedPart {
  readonly part: WeightPartName;
  readonly file: string;
  /** Bytes of values. */
  readonly bytes: number;
  /** What the same part takes as half floats. */
  readonly halfBytes: number;
  /** Number of weights of each precision. */
  readonly counts: Readonly<Record<WeightPrecision, number>>;
}

/** The file that holds a part's weights in the diffusers layout. */
const FILES: Readonly<Record<WeightPartName, string>> = {
  text_encoder: "model.safetensors",
  unet: "diffusion_pytorch_model.safetensors",
  movq: "diffusion_pytorch_model.safetensors",
};

/** Which of an opened model's parts goes by a name. */
export function partOf(model: OpenedModel, name: WeightPartName) {
  return model[name === "text_encoder" ? "text" : name];
}

/** The weights of a part that fill whole blocks, and so can be rounded. */
export function quantizable(model: OpenedModel, name: WeightPartName): LayerWeight[] {
  const { config } = partOf(model, name);
  return layerWeights({ name, config } as Parameters<typeof layerWeights>[0]).filter(({ order, shape }) =>
    fitsGrid(gridOf(order, shape), SCHEMES.int8),
  );
}

/**
 * Every weight of a part that can be rounded, at one precision; tables with 8 bits at least, and the MoVQ too: nothing
 * after it corrects its errors.
 */
export function uniformPlan(
  model: OpenedModel,
  name: WeightPartName,
  precision: WeightPrecision,
): PrecisionPlan {
  const finer = precision === "int4" ? "int8" : precision;
  return new Map(
    quantizable(model, name).map((weight) => [
      weight.name,
      weight.isTable || name === "movq" ? finer : precision,
    ]),
  );
}

/** Bytes that a part takes by a plan. */
export function plannedBytes(model: OpenedModel, name: WeightPartName, plan: PrecisionPlan): number {
  let bytes = 0;
  for (const [key, { shape }] of partOf(model, name).part.entries)
    bytes += storedBytesAs(shape, plan.get(key));
  return bytes;
}

/** Bytes of a weight of this shape at a precision. */
export function storedBytesAs(shape: readonly number[], precision: WeightPrecision = "fp16"): number {
  const scheme = ROUNDINGS[precision];
  return scheme === undefined ? 2 * product(shape) : quantizedBytes(scheme, product(shape));
}

export interface QuantizeOptions {
  /** Told of bytes written, of all that will be. */
  readonly onWritten?: (done: number, total: number) => void;
  /** Added to the metadata of every part's file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a model folder in which the parts named in `plans` have their weights at the precisions planned, and all else
 * is copied. Two tensors are in memory at once. Throws `output_exists`, `disk_full`, `output_unwritable`, and
 * `result_not_finite` for a weight that no half float can hold. Either the whole folder is there in the end, or none.
 */
export async function quantizeModel(
  model: OpenedModel,
  output: string,
  plans: ReadonlyMap<WeightPartName, PrecisionPlan>,
  { onWritten = () => {}, metadata = {} }: QuantizeOptions = {},
): Promise<QuantizedPart[]> {
  const target = resolve(output);
  if (existsSync(target)) {
    throw new KandinskyError("output_exists", {
      what: "the output exists already",
      where: output,
      hint: "name another folder, or remove it",
    });
  }
  const total = [...plans].reduce((sum, [name, plan]) => sum + plannedBytes(model, name, plan), 0);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    await onDisk(output, () => mkdir(temporary, { recursive: true }));
    await checkSpace(temporary, output, total);
    await copyRest(model, temporary, new Set(plans.keys()), output);
    let done = 0;
    const results: QuantizedPart[] = [];
    for (const [name, plan] of plans) {
      const file = join(temporary, name, FILES[name]);
      await writeQuantizedPart(model, name, plan, file, metadata, (bytes) => {
        done += bytes;
        onWritten(done, total);
      });
      results.push(resultOf(model, name, plan, join(target, name, FILES[name])));
    }
    await onDisk(output, () => rename(temporary, target));
    return results;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Writes one part's weights as one file. Throws as `quantizeModel` does. */
export async function writeQuantizedPart(
  model: OpenedModel,
  name: WeightPartName,
  plan: PrecisionPlan,
  file: string,
  metadata: Readonly<Record<string, string>> = {},
  onWritten: (bytes: number) => void = () => {},
): Promise<void> {
  const orders = new Map(quantizable(model, name).map((weight) => [weight.name, weight.order]));
  const forms = new Map<string, StoredForm>();
  const tensors = [...partOf(model, name).part.entries].flatMap(([key, entry]) => {
    const scheme = ROUNDINGS[plan.get(key) ?? "fp16"];
    const order = orders.get(key);
    if (scheme === undefined || order === undefined) return [halfTensor(key, entry)];
    const form = { ...scheme, order, shape: entry.shape };
    forms.set(key, form);
    return roundedTensors(key, entry, form);
  });
  const described = forms.size === 0 ? {} : quantizationMetadata(forms);
  await writeSafetensorsStream(file, tensors, { format: "pt", ...metadata, ...described }, onWritten);
}

/** As half floats; values that are half floats already stay as they are. */
function halfTensor(name: string, entry: TensorEntry): StreamedTensor {
  return {
    name,
    dtype: "float16",
    shape: entry.shape,
    values: async function* () {
      for await (const data of streamFloat32(entry, CHUNK)) {
        const halves = cast({ dtype: "float32", shape: [data.length], data: data as never }, "float16").data;
        const at = halves.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
        if (at >= 0) throw notHalf(entry, data[at]!);
        yield halves;
      }
    },
  };
}

function notHalf({ file }: TensorEntry, value: number): KandinskyError {
  return new KandinskyError("result_not_finite", {
    what: "a weight cannot be stored as a half float",
    where: file,
    seen: `${value}`,
    wanted: "values between -65504 and 65504",
  });
}

const CHUNK = 2 ** 20;

/** Scales are written before codes. They stay in memory until then, so that they are fitted once. */
function roundedTensors(name: string, entry: TensorEntry, form: StoredForm): StreamedTensor[] {
  const grid = gridOf(form.order, form.shape);
  let fitted: BlockScales | undefined;
  const rows = async () => {
    const weight = await readTensorAsFloat32(entry);
    const at = weight.data.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw notHalf(entry, weight.data[at]!);
    return toRows(form.order, weight);
  };
  const blocks = [grid.groups, grid.length / form.block];
  const scales = async function* () {
    fitted = fitScales(await rows(), grid, form);
    yield fitted.scales;
  };
  const codes = async function* () {
    const all = encodeWeights(await rows(), grid, form, fitted!);
    yield form.bits === 4 ? packPairs(all) : all;
    fitted = undefined;
  };
  const zeros = () => [fitted!.zeros!];
  return [
    { name: `${name}${SCALES_SUFFIX}`, dtype: "float16", shape: blocks, values: scales },
    ...(form.symmetric
      ? []
      : [{ name: `${name}${ZEROS_SUFFIX}`, dtype: "uint8" as const, shape: blocks, values: zeros }]),
    { name, dtype: "uint8", shape: [grid.groups, (grid.length * form.bits) / 8], values: codes },
  ];
}

function resultOf(
  model: OpenedModel,
  part: WeightPartName,
  plan: PrecisionPlan,
  file: string,
): QuantizedPart {
  const counts = { fp16: 0, int8: 0, int4: 0 };
  let halfBytes = 0;
  for (const [key, { shape }] of partOf(model, part).part.entries) {
    counts[plan.get(key) ?? "fp16"] += product(shape);
    halfBytes += 2 * product(shape);
  }
  return { part, file, bytes: plannedBytes(model, part, plan), halfBytes, counts };
}

/** Copies all files of the model but the weights of the parts that are written anew, and what was packed. */
async function copyRest(
  model: OpenedModel,
  target: string,
  written: ReadonlySet<string>,
  output: string,
): Promise<void> {
  const copyFolder = async (from: string, to: string, skips: (name: string) => boolean) => {
    await onDisk(output, () => mkdir(to, { recursive: true }));
    for (const item of await readdir(from, { withFileTypes: true })) {
      if (skips(item.name)) continue;
      const [source, copy] = [join(from, item.name), join(to, item.name)];
      // Where the file system can, a copy shares the blocks of the file until one of them changes.
      if (!item.isDirectory()) {
        await onDisk(output, () => copyFile(source, copy, constants.COPYFILE_FICLONE));
        continue;
      }
      const isWritten = from === model.folder.root && written.has(item.name);
      await copyFolder(source, copy, isWritten ? (name) => WEIGHT_FILE.test(name) : () => false);
    }
  };
  await copyFolder(model.folder.root, target, (name) => name === PACK_FOLDER || name === ".git");
}

/** Weights in any form, and indexes of shards; a learned null embedding beside the U-Net is none of its weights. */
const WEIGHT_FILE =
  /^(?!null_embedding\.)(.*\.(safetensors|bin|pt|pth|ckpt|msgpack|h5)|.*\.index(\..*)?\.json)$/;

async function checkSpace(folder: string, where: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize > bytes) return;
  throw new KandinskyError("disk_full", {
    what: "cannot write the model",
    where,
    seen: `${Math.floor((bavail * bsize) / 1e6)} MB free in ${dirname(where)}`,
    wanted: `${Math.ceil(bytes / 1e6)} MB`,
    hint: "free some space, or name a folder on a larger disk",
  });
}

async function onDisk<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new KandinskyError(
      code === "ENOSPC" || code === "EDQUOT" ? "disk_full" : "output_unwritable",
      { what: "cannot write the model", where, seen: code ?? message },
      { cause },
    );
  }
}
