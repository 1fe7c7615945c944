import { product } from "../base/mod.ts";
import { type Graph, graphFlops, peakActivationBytes } from "../graph/mod.ts";
import { movqDecoderGraph, t5Graph, textProjectionGraph, unetGraph } from "../models/mod.ts";
import { chunkAttention, runPasses, splitGraph, stripeMaps } from "../passes/mod.ts";
import { ITEM_SIZE } from "../tensor/mod.ts";
import type { OpenedModel } from "./model.node.ts";
import { MAX_STRIPE_BYTES } from "./movq-runner.node.ts";
import { MAX_SCORE_BYTES } from "./passes.node.ts";
import { foldPart } from "./program.node.ts";
import { rangesOf } from "./t5-runner.node.ts";
import { MAX_TOKENS } from "./text.ts";

/** `prepare`: what a picture needs once before its steps; `step`: one step; `guided step`: one with guidance. */
export type WorkStage = "encode" | "prepare" | "step" | "guided step" | "decode";

/** One stage of drawing. */
export interface StageReport {
  readonly stage: WorkStage;
  /** Floating point operations: two for each multiply-accumulate. */
  readonly flops: number;
  /** Bytes of the float32 weights that are loaded at once in this stage. */
  readonly weightBytes: number;
  /** The most bytes of its own that the engine takes for inputs and intermediate values (see the README). */
  readonly activationBytes: number;
}

/** What is drawn: pixels, pictures at once, steps. */
export interface WorkSize {
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly steps: number;
}

/**
 * What each stage costs for texts of 128 tokens, from the graphs and the shapes of the weights. The graphs are cut
 * as the runners cut them; blocked layouts are left out, which hold the same bytes and do about a tenth less work.
 */
export function stageCosts(model: OpenedModel, { width, height, batch, steps }: WorkSize): StageReport[] {
  const { text, unet, movq, info } = model;
  const cells = { height: height / info.cell, width: width / info.cell };
  const encoders = rangesOf(text.part, text.config).map((range) =>
    costsOf(t5Graph(text.config, batch, MAX_TOKENS, range), ARENA_SHARE),
  );
  const unetHalves = (rows: number) => {
    const shape = { batch: rows, ...cells, contextLength: MAX_TOKENS, steps };
    const graph = runPasses(unetGraph(unet.config, shape), [chunkAttention(MAX_SCORE_BYTES)]);
    const { prologue, body } = splitGraph(foldPart(graph, unet.part).graph, ["sample", "step"]);
    return { prologue: costsOf(prologue, ARENA_SHARE), body: costsOf(body, ARENA_SHARE) };
  };
  const guided = unetHalves(2 * batch);
  const projection = costsOf(textProjectionGraph(unet.config, 2 * batch, MAX_TOKENS), ARENA_SHARE);
  const decoder = runPasses(movqDecoderGraph(movq.config, { batch: 1, ...cells }), [
    stripeMaps(MAX_STRIPE_BYTES, cells.height),
    chunkAttention(MAX_SCORE_BYTES),
  ]);
  return [
    { stage: "encode", ...inTurn(encoders) },
    { stage: "prepare", ...inTurn([projection, guided.prologue]) },
    { stage: "step", ...unetHalves(batch).body },
    { stage: "guided step", ...guided.body },
    { stage: "decode", ...costsOf(foldPart(decoder, movq.part).graph, HEAP_SHARE) },
  ];
}

type Costs = Omit<StageReport, "stage">;

/** What a loaded program takes beside its values. */
const SESSION_BYTES = 36e6;
/** Memory taken for each byte of values that live at once: in the runtime's arena, whose blocks double, ... */
const ARENA_SHARE = 3.5;
/** ... and in the heap of a program that is loaded without the arena. */
const HEAP_SHARE = 1.7;

function costsOf(graph: Graph, share: number): Costs {
  const weights = graph.nodes.filter(({ op }) => op === "parameter");
  return {
    flops: graphFlops(graph),
    // Whatever type a weight is stored in, it is float32 when it is used.
    weightBytes: weights.reduce((sum, { shape }) => sum + product(shape) * ITEM_SIZE.float32, 0),
    activationBytes: SESSION_BYTES + share * peakActivationBytes(graph),
  };
}

/** Graphs that run one after the other: their work adds up, their memory does not. */
function inTurn(runs: readonly Costs[]): Costs {
  return {
    flops: runs.reduce((sum, { flops }) => sum + flops, 0),
    weightBytes: Math.max(...runs.map(({ weightBytes }) => weightBytes)),
    activationBytes: Math.max(...runs.map(({ activationBytes }) => activationBytes)),
  };
}
