import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { KandinskyError, product } from "../base/mod.ts";
import {
  openModelFolder,
  openPart,
  readSafetensorsHeader,
  type TensorEntry,
  type WeightPart,
} from "../checkpoint/mod.ts";
import { PROFILES } from "../diffusion/mod.ts";
import { type Graph, graphFlops, peakActivationBytes } from "../graph/mod.ts";
import { movqDecoderGraph, t5Graph, textProjectionGraph, unetGraph } from "../models/mod.ts";
import { chunkAttention, runPasses, splitGraph } from "../passes/mod.ts";
import { type DType, ITEM_SIZE } from "../tensor/mod.ts";
import { type OpenedModel, openModel } from "./model.node.ts";
import type { BoundPart } from "./packing.node.ts";
import { MAX_SCORE_BYTES } from "./passes.node.ts";
import { foldPart } from "./program.node.ts";
import { checkSide } from "./request.ts";
import { rangesOf } from "./t5-runner.node.ts";
import { MAX_TOKENS } from "./text.ts";

/** A stored tensor: its values were not read. */
export interface TensorReport {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A folder with weights, or a lone file. */
export interface PartReport {
  readonly name: string;
  readonly parameters: number;
  /** Bytes of the tensors as they are stored. */
  readonly storedBytes: number;
  /** Bytes of the parameters as float32, in which they are computed. */
  readonly computedBytes: number;
  readonly dtypes: readonly DType[];
  readonly tensors: readonly TensorReport[];
}

/** `prepare`: what a picture needs once before its steps; `step`: one step; `guided step`: one with guidance. */
export type WorkStage = "encode" | "prepare" | "step" | "guided step" | "decode";

/** One stage of drawing one picture. */
export interface StageReport {
  readonly stage: WorkStage;
  /** Floating point operations: two for each multiply-accumulate. */
  readonly flops: number;
  /** Bytes of the float32 weights that are loaded at once in this stage. */
  readonly weightBytes: number;
  /** The most bytes that inputs and intermediate values take at once (an estimate). */
  readonly activationBytes: number;
}

/** Work and memory of one picture of a size. */
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
    storedBytes: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
    computedBytes: parameters * ITEM_SIZE.float32,
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))].sort(),
    tensors: tensors.map(({ name: key, dtype, shape }) => ({ name: key, dtype, shape })),
  };
}

function sizeReport(model: OpenedModel, { width, height }: PictureSize): SizeReport {
  const { text, unet, movq, info } = model;
  checkSide("width", width, info.unit);
  checkSide("height", height, info.unit);
  const cells = { height: height / info.cell, width: width / info.cell };
  const passes = [chunkAttention(MAX_SCORE_BYTES)];
  const { steps } = PROFILES[info.profile];

  const encoders = rangesOf(text.part, text.config).map((range) =>
    costs(t5Graph(text.config, 1, MAX_TOKENS, range)),
  );
  const halvesOf = (batch: number) => {
    const shape = { batch, ...cells, contextLength: MAX_TOKENS, steps };
    const graph = runPasses(unetGraph(unet.config, shape), passes);
    const { prologue, body } = splitGraph(foldPart(graph, unet.part).graph, ["sample", "step"]);
    return { prologue, body };
  };
  const single = halvesOf(1);
  const guided = halvesOf(2);
  const projection = costs(textProjectionGraph(unet.config, 2, MAX_TOKENS));
  const decoder = runPasses(movqDecoderGraph(movq.config, { batch: 1, ...cells }), passes);
  const stages: readonly StageReport[] = [
    { stage: "encode", ...largest(encoders) },
    { stage: "prepare", ...largest([projection, costs(guided.prologue)]) },
    { stage: "step", ...costs(single.body) },
    { stage: "guided step", ...costs(guided.body) },
    { stage: "decode", ...costs(foldedGraph(decoder, movq.part)) },
  ];
  return { width, height, stages };
}

function foldedGraph(graph: Graph, part: BoundPart): Graph {
  return foldPart(graph, part).graph;
}

type Costs = Omit<StageReport, "stage">;

function costs(graph: Graph): Costs {
  const weights = graph.nodes.filter(({ op }) => op === "parameter");
  return {
    flops: graphFlops(graph),
    // Whatever type a weight is stored in, it is float32 when it is used.
    weightBytes: weights.reduce((sum, { shape }) => sum + product(shape) * ITEM_SIZE.float32, 0),
    activationBytes: peakActivationBytes(graph),
  };
}

/** Graphs that run one after the other: their work adds up, their memory does not. */
function largest(runs: readonly Costs[]): Costs {
  return {
    flops: runs.reduce((sum, { flops }) => sum + flops, 0),
    weightBytes: Math.max(...runs.map(({ weightBytes }) => weightBytes)),
    activationBytes: Math.max(...runs.map(({ activationBytes }) => activationBytes)),
  };
}
