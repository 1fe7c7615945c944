import { dirname, relative, sep } from "node:path";
import type { TensorEntry } from "../checkpoint/mod.ts";
import { type Graph, nodesOf } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import { type FoldedGraph, foldWeights, keepNarrow, runPasses, withStoredTypes } from "../passes/mod.ts";
import type { Engine, Program, ProgramSource } from "../runtime/mod.ts";
import { type BoundPart, entryOf, type PackStore } from "./packing.node.ts";
import type { Precision } from "./plan.ts";

/** What makes graphs run: the engine's process and the place for packed weights. */
export interface Workshop {
  readonly engine: Engine;
  readonly store: PackStore;
}

/** An engine that counts the programs loaded into it. */
export function countLoads(engine: Engine): { readonly engine: Engine; readonly loads: () => number } {
  let count = 0;
  const load: Engine["load"] = (source) => {
    count += 1;
    return engine.load(source);
  };
  return { engine: { ...engine, load }, loads: () => count };
}

/** Reads weights in their stored types and turns weight-only expressions into packed weights. */
export function foldPart(graph: Graph, part: BoundPart): FoldedGraph {
  return foldWeights(asStored(graph, part));
}

/** The graph as the part's adapters change it, with weights in their stored types. */
function asStored(graph: Graph, part: BoundPart): Graph {
  const passes = (part.adapters ?? []).map(({ pass }) => pass);
  return withStoredTypes(runPasses(graph, passes), (name) => entryOf(part, name).dtype);
}

/** How the folded weights of a graph are kept, by the precision that a plan names. */
export const KEPT_AS: { readonly [P in Precision]: (folded: FoldedGraph) => FoldedGraph } = {
  float32: (folded) => folded,
  stored: keepNarrow,
};

export interface LoadFoldedOptions {
  /** Whether freed buffers are kept for the next run. */
  readonly arena?: boolean;
  readonly precision?: Precision;
}

/** Loads a graph whose weight-only expressions were folded; several graphs may share one `folded`. */
export async function loadFolded(
  { engine, store }: Workshop,
  part: BoundPart,
  name: string,
  folded: FoldedGraph,
  { arena = true, precision = "float32" }: LoadFoldedOptions = {},
): Promise<Program> {
  const kept = KEPT_AS[precision](folded);
  const places = await store.place(part, kept);
  // The first run's buffers would stay beside the pattern's, and widened weights are most of both.
  const memory = { arena, memoryPattern: precision === "float32" };
  return loadPlaced(engine, name, kept.graph, (parameter) => places.get(parameter)!, memory);
}

/**
 * Loads a graph with its weights cast in the graph, right where they are used once: nothing is packed, and
 * the widened copies live only while the program is loaded.
 */
export async function loadWithCasts(
  { engine }: Workshop,
  part: BoundPart,
  name: string,
  graph: Graph,
): Promise<Program> {
  return loadPlaced(engine, name, asStored(graph, part), (parameter) => entryOf(part, parameter), {});
}

async function loadPlaced(
  engine: Engine,
  name: string,
  graph: Graph,
  placeOf: (parameter: string) => TensorEntry,
  memory: Pick<ProgramSource, "arena" | "memoryPattern">,
): Promise<Program> {
  const files = nodesOf(graph, "parameter").map(({ attributes }) => placeOf(attributes.name).file);
  const weightsFolder = commonFolder(files);
  const onnx = encodeOnnx(graph, (parameter) => {
    const { file, offset, byteLength } = placeOf(parameter);
    return { file: relative(weightsFolder, file).split(sep).join("/"), offset, byteLength };
  });
  return engine.load({
    name,
    onnx,
    weightsFolder,
    // The graph is already what shall run. Every optimisation of the runtime here would copy weights.
    optimization: "disabled",
    ...memory,
    sessionConfig: {
      "session.disable_prepacking": "1",
      // Threads of a program that ran would otherwise spin for some 30 ms beside those of the next one.
      "session.force_spinning_stop": "1",
    },
  });
}

/** The deepest folder that holds all files: external weights may not lie outside the folder given. */
function commonFolder(files: readonly string[]): string {
  const [first, ...rest] = files.map((file) => dirname(file).split(sep));
  if (first === undefined) return ".";
  let length = first.length;
  for (const parts of rest) {
    length = Math.min(length, parts.length);
    while (length > 0 && parts.slice(0, length).join(sep) !== first.slice(0, length).join(sep)) length--;
  }
  return first.slice(0, length).join(sep) || sep;
}
