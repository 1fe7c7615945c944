import { dirname, relative, sep } from "node:path";
import type { TensorEntry } from "../checkpoint/mod.ts";
import { buildGraph, cast, type Graph, type GraphBuilder, nodesOf, rewrite } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import {
  type FoldedGraph,
  foldWeights,
  keepNarrow,
  type Pass,
  roundConvolutions,
  roundLinears,
  runPasses,
  withStoredTypes,
} from "../passes/mod.ts";
import { type QuantScheme, SCHEMES } from "../quant/mod.ts";
import type { Engine, Program, ProgramSource } from "../runtime/mod.ts";
import type { DType } from "../tensor/mod.ts";
import { type BoundPart, entryOf, type PackStore, storedNames } from "./packing.node.ts";
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
  return withStoredTypes(runPasses(graph, adapterPasses(part)), (name) => storedType(entryOf(part, name)));
}

function adapterPasses({ adapters = [] }: BoundPart): Pass[] {
  return adapters.map(({ pass }) => pass);
}

/** Rounded weights are read as float64, so that no graph takes their bytes for values. */
function storedType({ dtype, quantized }: TensorEntry): DType {
  return quantized === undefined ? dtype : "float64";
}

/** How the folded weights of a graph are kept, by the precision that a plan names. */
export const KEPT_AS: { readonly [P in Precision]: (folded: FoldedGraph) => FoldedGraph } = {
  float32: (folded) => folded,
  stored: keepNarrow,
  int8: (folded) => folded,
  int4: (folded) => folded,
};

/**
 * How a weight of a layer is rounded while it runs: as the precision says, but never finer than its file has it;
 * weights that the file has rounded stay so at every precision. Undefined: it is not.
 */
export function schemeOf(part: BoundPart, name: string, precision: Precision): QuantScheme | undefined {
  const stored = part.entries.get(name)?.quantized?.form;
  const wanted = precision === "int8" || precision === "int4" ? SCHEMES[precision] : undefined;
  return stored !== undefined && (wanted === undefined || stored.bits <= wanted.bits) ? stored : wanted;
}

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
  const { graph, ...rounded } = roundConvolutions(kept.graph, (weight) => {
    const expression = kept.derived.get(weight);
    const stored = expression === undefined ? weight : storedNames(expression)[0]!;
    return schemeOf(part, stored, precision);
  });
  const places = await store.place(part, { graph, derived: kept.derived, rounded });
  // The first run's buffers would stay beside the pattern's, and widened weights are most of both.
  const memoryPattern = precision === "float32" && rounded.pieces.size === 0;
  return loadPlaced(engine, name, graph, (parameter) => places.get(parameter)!, { arena, memoryPattern });
}

/**
 * Loads a graph with its weights cast in the graph, right where they are used once: nothing is packed, and
 * the widened copies live only while the program is loaded. Weights that are kept rounded are packed, and stay so.
 */
export async function loadWithCasts(
  { engine, store }: Workshop,
  part: BoundPart,
  name: string,
  graph: Graph,
  precision: Precision = "stored",
): Promise<Program> {
  const isCpu = engine.device === "cpu";
  const { graph: read, ...rounded } = roundLinears(runPasses(graph, adapterPasses(part)), (weight) =>
    isCpu ? schemeOf(part, weight, precision) : undefined,
  );
  const folded = castWeights(read, part, rounded.pieces);
  const places = await store.place(part, { ...folded, rounded });
  // The product lays out rounded matrices while it is loaded: as they lie it would be five times slower.
  const prepack = rounded.pieces.size > 0;
  return loadPlaced(engine, name, folded.graph, (parameter) => places.get(parameter)!, { prepack });
}

/** Reads weights in their stored types; those that a file has rounded but the graph does not read so are packed. */
function castWeights(graph: Graph, part: BoundPart, pieces: ReadonlyMap<string, unknown>): FoldedGraph {
  const derived = new Map<string, Graph>();
  const read = rewrite(graph, (node, _, { builder }) => {
    if (node.op !== "parameter" || pieces.has(node.attributes.name)) return undefined;
    const { name, shape } = node.attributes;
    const entry = entryOf(part, name);
    const stored = (b: GraphBuilder) => cast(b.parameter(name, shape, storedType(entry)), node.dtype);
    if (entry.quantized === undefined) return stored(builder);
    const widened = `${name}#widened`;
    derived.set(
      widened,
      buildGraph((b) => ({ value: stored(b) })),
    );
    return builder.parameter(widened, shape, node.dtype);
  });
  return { graph: read, derived };
}

interface PlacedOptions extends Pick<ProgramSource, "arena" | "memoryPattern"> {
  /** Whether the runtime may lay out weights in memory of its own. */
  readonly prepack?: boolean;
}

async function loadPlaced(
  engine: Engine,
  name: string,
  graph: Graph,
  placeOf: (parameter: string) => TensorEntry,
  { prepack = false, ...memory }: PlacedOptions,
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
      "session.disable_prepacking": prepack ? "0" : "1",
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
