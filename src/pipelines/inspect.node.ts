import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { KandinskyError, product } from "../base/mod.ts";
import {
  openModelFolder,
  openPart,
  readSafetensorsHeader,
  storedBytes,
  type TensorEntry,
  type WeightPart,
} from "../checkpoint/mod.ts";
import { PROFILES } from "../diffusion/mod.ts";
import { type DType, ITEM_SIZE } from "../tensor/mod.ts";
import { type StageReport, stageCosts } from "./costs.node.ts";
import { type OpenedModel, openModel } from "./model.node.ts";
import { checkSide } from "./resolve.ts";
import type { SubjectNames } from "./vocabulary.ts";

/** A stored tensor: its values were not read. */
export interface TensorReport {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
}

/** An element type, or bits of a weight that is rounded in blocks. */
export type StoredType = DType | "q8" | "q4";

/** A folder with weights, or a lone file. */
export interface PartReport {
  readonly name: string;
  readonly parameters: number;
  /** Bytes of the tensors as they are stored. */
  readonly storedBytes: number;
  /** Bytes of the parameters as float32, in which they are computed. */
  readonly computedBytes: number;
  readonly dtypes: readonly StoredType[];
  readonly tensors: readonly TensorReport[];
}

/** What one picture of a size costs. */
export interface SizeReport {
  readonly width: number;
  readonly height: number;
  readonly stages: readonly StageReport[];
}

/** What a model is made of, and what pictures of some sizes take. */
export interface ModelReport {
  readonly name: string;
  readonly kind: "model" | "part" | "file";
  readonly parts: readonly PartReport[];
  /** What a small model was taught to draw, by language; only where its folder has a list. */
  readonly vocabulary?: readonly SubjectNames[];
  /** Only for whole models. */
  readonly sizes: readonly SizeReport[];
}

interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/**
 * What a model's folder, the folder of one part or a safetensors file holds, and what one picture of each of
 * `sizes` (pixels; the model's own size by default) costs, reckoned for a text of 128 tokens. Reads headers and
 * configurations only. Throws `size_unit`, and what `Kandinsky3.load` throws for a model that does not load.
 */
export async function inspectModel(path: string, sizes: readonly PictureSize[] = []): Promise<ModelReport> {
  const about = await stat(path).catch((cause: unknown) => {
    const what = "there is no such file or folder";
    throw new KandinskyError("file_missing", { what, where: path, hint: "check the name" }, { cause });
  });
  const name = basename(path);
  if (about.isFile()) {
    const { entries } = await readSafetensorsHeader(path);
    return { name, kind: "file", parts: [partReport(name, entries)], sizes: [] };
  }
  const lone = await loneWeights(path);
  if (lone !== undefined) return { name, kind: "part", parts: [partReport(name, lone.tensors)], sizes: [] };
  const model = await openModel(path);
  const { side } = model.info;
  const wanted = sizes.length === 0 ? [{ width: side, height: side }] : sizes;
  const { text_encoder, unet, movq } = model.folder.parts;
  const parts = Object.entries({ text_encoder, unet, movq });
  return {
    name: model.info.name,
    kind: "model",
    parts: parts.map(([part, weights]) => partReport(part, weights!.tensors)),
    ...(model.vocabulary === undefined ? {} : { vocabulary: model.vocabulary }),
    sizes: wanted.map((size) => sizeReport(model, size)),
  };
}

/** The folder as one part of a model, unless it is a whole model or something else. */
async function loneWeights(path: string): Promise<WeightPart | undefined> {
  try {
    await openModelFolder(path);
    return undefined;
  } catch (error) {
    if (!(error instanceof KandinskyError) || error.code !== "model_missing") throw error;
    return await openPart(path).catch(() => {
      throw error;
    });
  }
}

function partReport(name: string, entries: ReadonlyMap<string, TensorEntry>): PartReport {
  const tensors = [...entries.values()];
  const parameters = tensors.reduce((sum, { shape }) => sum + product(shape), 0);
  return {
    name,
    parameters,
    storedBytes: tensors.reduce((sum, entry) => sum + storedBytes(entry), 0),
    computedBytes: parameters * ITEM_SIZE.float32,
    dtypes: [...new Set(tensors.map(typeOf))].sort(),
    tensors: tensors.map((entry) => ({ name: entry.name, dtype: typeOf(entry), shape: entry.shape })),
  };
}

function typeOf({ dtype, quantized }: TensorEntry): StoredType {
  return quantized === undefined ? dtype : `q${quantized.form.bits}`;
}

function sizeReport(model: OpenedModel, { width, height }: PictureSize): SizeReport {
  checkSide("width", width, model.info.unit);
  checkSide("height", height, model.info.unit);
  const { steps } = PROFILES[model.info.profile];
  return { width, height, stages: stageCosts(model, { width, height, batch: 1, steps }) };
}
