import { product } from "../base/mod.ts";
import { type Graph, graphFlops, nodesOf, peakActivationBytes } from "../graph/mod.ts";
import {
  movqDecoderGraph,
  movqEncoderGraph,
  t5Graph,
  textProjectionGraph,
  unetGraph,
} from "../models/mod.ts";
import { chunkAttention, runPasses, splitGraph, stripeMaps } from "../passes/mod.ts";
import { quantizedBytes } from "../quant/mod.ts";
import { ITEM_SIZE } from "../tensor/mod.ts";
import type { OpenedModel } from "./model.node.ts";
import { MAX_STRIPE_BYTES } from "./movq-runner.node.ts";
import { type BoundPart, entryOf } from "./packing.node.ts";
import { MAX_SCORE_BYTES } from "./passes.node.ts";
import type { Precision } from "./plan.ts";
import { foldPart, schemeOf } from "./program.node.ts";
import { rangesOf } from "./t5-runner.node.ts";
import { MAX_TOKENS } from "./text.ts";

/** `read`: a picture into a latent; `prepare`: what a picture needs once before its steps; `step`: one step; `guided step`: one with guidance. */
export type WorkStage = "read" | "encode" | "prepare" | "step" | "guided step" | "decode";

/** One stage of drawing. */
export interface StageReport {
  readonly stage: WorkStage;
  /** Floating point operations: two for each multiply-accumulate. */
  readonly flops: number;
  /** Bytes of the float32 weights that are loaded at once in this stage. */
  readonly weightBytes: number;
  /** Bytes of all its weights in the types in which the model's files hold them. */
  readonly storedBytes: number;
  /** Bytes of all its weights where matrices and kernels are rounded, to no finer form than the files have. */
  readonly roundedBytes: Readonly<Record<"int8" | "int4", number>>;
  /** Bytes of the largest weight that is widened at its use, if weights are used as stored; 0 where none is. */
  readonly widenedBytes: number;
  /** The most bytes of its own that the engine takes for inputs and intermediate values (see the README). */
  readonly activationBytes: number;
}

/** What is drawn: pixels, pictures at once, steps. */
export interface WorkSize {
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly steps: number;
  /** With guidance or without; by default costs of both are told. */
  readonly guided?: boolean;
  /** Of a picture that is read; by default none is. */
  readonly reads?: { readonly width: number; readonly height: number };
}

/**
 * What each stage costs for texts of 128 tokens, from the graphs and the shapes of the weights. The graphs are cut
 * as the runners cut them; blocked layouts are left out, which hold the same bytes and do about a tenth less work.
 */
export function stageCosts(model: OpenedModel, size: WorkSize): StageReport[] {
  const { text, unet, movq, info } = model;
  const { width, height, batch, steps, guided, reads } = size;
  const cells = { height: height / info.cell, width: width / info.cell };
  const encoders = rangesOf(text.part, text.config).map((range) =>
    costsOf(text.part, t5Graph(text.config, batch, MAX_TOKENS, range), inArena),
  );
  const unetHalves = (rows: number) => {
    const shape = { batch: rows, ...cells, contextLength: MAX_TOKENS, steps };
    const graph = runPasses(unetGraph(unet.config, shape), [chunkAttention(MAX_SCORE_BYTES)]);
    const { prologue, body } = splitGraph(foldPart(graph, unet.part).graph, ["sample", "step"]);
    const [before, during] = [prologue, body].map((half) => costsOf(unet.part, half, inArena));
    return { prologue: before!, body: during! };
  };
  const rows = guided === false ? batch : 2 * batch;
  const most = unetHalves(rows);
  const projection = costsOf(unet.part, textProjectionGraph(unet.config, rows, MAX_TOKENS), inArena);
  const decoder = runPasses(movqDecoderGraph(movq.config, { batch: 1, ...cells }), [
    stripeMaps(MAX_STRIPE_BYTES, cells.height),
    chunkAttention(MAX_SCORE_BYTES),
  ]);
  return [
    ...(reads === undefined ? [] : [{ stage: "read" as const, ...readCosts(model, reads) }]),
    { stage: "encode", ...inTurn(encoders) },
    { stage: "prepare", ...inTurn([projection, most.prologue]) },
    ...(guided === true
      ? []
      : [{ stage: "step" as const, ...(guided === false ? most : unetHalves(batch)).body }]),
    ...(guided === false ? [] : [{ stage: "guided step" as const, ...most.body }]),
    { stage: "decode", ...costsOf(movq.part, foldPart(decoder, movq.part).graph, inHeap) },
  ];
}

function readCosts({ movq, info }: OpenedModel, { width, height }: NonNullable<WorkSize["reads"]>): Costs {
  const encoder = runPasses(movqEncoderGraph(movq.config, { batch: 1, height, width }), [
    stripeMaps(MAX_STRIPE_BYTES, height / info.cell),
    chunkAttention(MAX_SCORE_BYTES),
  ]);
  return costsOf(movq.part, foldPart(encoder, movq.part).graph, inHeap);
}

type Costs = Omit<StageReport, "stage">;

/** What a loaded program takes beside its values. */
export const SESSION_BYTES = 36e6;
/** Memory taken for each byte of values that live at once: in the runtime's arena, whose blocks double, ... */
export const ARENA_SHARE = 3.5;
/** ... and in the heap of a program that is loaded without the arena, where what is beyond this is given back at once. */
const HEAP_SHARE = 1.7;
const HEAP_BYTES = 1.2e9;

type Share = (liveBytes: number) => number;
const inArena: Share = (live) => ARENA_SHARE * live;
const inHeap: Share = (live) => HEAP_SHARE * Math.min(live, HEAP_BYTES) + Math.max(0, live - HEAP_BYTES);

function costsOf(part: BoundPart, graph: Graph, taken: Share): Costs {
  const weights = nodesOf(graph, "parameter").map(({ attributes: { name, shape } }) => {
    const size = product(shape);
    const bytes = (precision: Precision) => bytesOf(part, name, shape, precision);
    const [stored, int8, int4] = [bytes("stored"), bytes("int8"), bytes("int4")];
    return { wide: size * ITEM_SIZE.float32, stored, int8, int4 };
  });
  const sum = (key: "wide" | "stored" | "int8" | "int4") =>
    weights.reduce((all, weight) => all + weight[key], 0);
  return {
    flops: graphFlops(graph),
    // Whatever type a weight is stored in, it is float32 when it is used.
    weightBytes: sum("wide"),
    storedBytes: sum("stored"),
    roundedBytes: { int8: sum("int8"), int4: sum("int4") },
    widenedBytes: Math.max(0, ...weights.map(({ wide, stored }) => (stored < wide ? wide : 0))),
    activationBytes: SESSION_BYTES + taken(peakActivationBytes(graph)),
  };
}

/** Bytes of a weight as it is kept at a precision; a folded one is kept as the first weight that it is made of. */
function bytesOf(part: BoundPart, name: string, shape: readonly number[], precision: Precision): number {
  const stored = name.split("#")[0]!;
  const { dtype, quantized } = entryOf(part, stored);
  const scheme = shape.length > 1 ? schemeOf(part, stored, precision) : undefined;
  if (scheme !== undefined) return quantizedBytes(scheme, product(shape));
  return (
    product(shape) *
    (precision === "stored" && quantized === undefined ? ITEM_SIZE[dtype] : ITEM_SIZE.float32)
  );
}

/** Graphs that run one after the other: their work adds up, their memory does not. */
function inTurn(runs: readonly Costs[]): Costs {
  const most = (key: "weightBytes" | "widenedBytes" | "activationBytes") =>
    Math.max(...runs.map((costs) => costs[key]));
  const sum = (value: (costs: Costs) => number) => runs.reduce((all, costs) => all + value(costs), 0);
  return {
    flops: sum(({ flops }) => flops),
    weightBytes: most("weightBytes"),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    roundedBytes: {
      int8: sum(({ roundedBytes }) => roundedBytes.int8),
      int4: sum(({ roundedBytes }) => roundedBytes.int4),
    },
    widenedBytes: most("widenedBytes"),
    activationBytes: most("activationBytes"),
  };
}
