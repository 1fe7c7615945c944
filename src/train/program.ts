import { KandinskyError } from "../base/mod.ts";
import { type Graph, type ParameterShape, parametersOf } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import type { Engine, Fetch, Held, Program } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { HeldByName } from "./buffers.ts";
import { gradientName, trainingPieces } from "./passes.ts";

/** A graph with derivatives, loaded in pieces that run one after the other. */
export interface LoadedStep {
  readonly pieces: readonly LoadedPiece[];
  /** The batch's inputs, where several pieces read them. */
  readonly inputs: HeldByName;
  /** Results but derivatives: the first piece's. */
  readonly results: readonly string[];
}

export interface LoadedPiece {
  readonly program: Program;
  /** Parameters whose gradients it makes. */
  readonly gradients: readonly string[];
  /** What it hands on to later pieces, in memory that is kept from step to step. */
  readonly carried: HeldByName;
}

/**
 * Loads a graph whose results hold `loss`, with its derivatives by the trained parameters, in at most `count` pieces.
 * Throws `tensor_missing` for a parameter that is not known, `graph_invalid` where it does not read all that are trained.
 */
export async function loadStep(
  engine: Engine,
  name: string,
  graph: Graph,
  {
    trained,
    known,
    count,
  }: {
    readonly trained: readonly ParameterShape[];
    readonly known: ReadonlySet<string>;
    readonly count: number;
  },
): Promise<LoadedStep> {
  const parameters = parametersOf(graph);
  const missing = parameters.filter((parameter) => !known.has(parameter.name));
  if (missing.length > 0) {
    throw new KandinskyError("tensor_missing", {
      what: `cannot prepare ${name}`,
      where: missing.map((parameter) => parameter.name).join(", "),
    });
  }
  const used = new Set(parameters.map((parameter) => parameter.name));
  const unread = trained.filter((one) => !used.has(one.name));
  if (unread.length > 0) {
    throw new KandinskyError("graph_invalid", {
      what: `cannot prepare ${name}`,
      seen: `trained parameters that it does not read: ${unread.map((one) => one.name).join(", ")}`,
    });
  }
  const results = [...graph.outputs.keys()];
  const graphs = trainingPieces(graph, trained, count);
  const made = new Set([...results, ...trained.map((one) => gradientName(one.name))]);
  const pieces: LoadedPiece[] = [];
  for (const piece of graphs) {
    const own = trained.filter((one) => piece.outputs.has(gradientName(one.name))).map((one) => one.name);
    const carried = new Map<string, Held>();
    for (const [output, id] of piece.outputs) {
      const { dtype, shape } = piece.nodes[id]!;
      if (!made.has(output)) carried.set(output, await engine.hold({ dtype, shape }));
    }
    pieces.push({ program: await loadGraph(engine, name, piece), gradients: own, carried });
  }
  return { pieces, inputs: await holdInputs(engine, pieces, known), results };
}

async function holdInputs(
  engine: Engine,
  pieces: readonly LoadedPiece[],
  known: ReadonlySet<string>,
): Promise<HeldByName> {
  const inputs = new Map<string, Held>();
  if (pieces.length === 1) return inputs;
  const carried = new Set(pieces.flatMap((piece) => [...piece.carried.keys()]));
  for (const { name, dtype, shape } of pieces.flatMap(({ program }) => program.inputs)) {
    if (known.has(name) || carried.has(name) || inputs.has(name)) continue;
    inputs.set(name, await engine.hold({ dtype, shape: shape as readonly number[] }));
  }
  return inputs;
}

/** Frees the programs and what they hold. */
export async function releaseStep(engine: Engine, { pieces, inputs }: LoadedStep): Promise<void> {
  for (const { program } of pieces) await program.release();
  await engine.release([...inputs.values(), ...pieces.flatMap(({ carried }) => [...carried.values()])]);
}

export interface StepRun {
  readonly part: Readonly<Record<string, Tensor>>;
  readonly parameterOf: (name: string) => Held;
  /** Where gradients are written; none are computed without. */
  readonly targets?: HeldByName;
  /** Called right after each piece was asked for, before the next one is. */
  readonly onPiece?: (piece: number) => void;
}

/** Runs all pieces, or the first alone where no gradients are wanted. Returns the results. */
export async function runStep(
  engine: Engine,
  { pieces, inputs, results }: LoadedStep,
  { part, parameterOf, targets, onPiece }: StepRun,
): Promise<Readonly<Record<string, Tensor>>> {
  // All is asked for at once and served in turn: the engine never waits for this process.
  const asked: Promise<unknown>[] = [...inputs].map(([name, held]) => engine.write(held, part[name]!));
  const carried = new Map(pieces.flatMap((piece) => [...piece.carried]));
  const feedOf = (name: string) => inputs.get(name) ?? carried.get(name) ?? part[name] ?? parameterOf(name);
  const runs = (targets === undefined ? pieces.slice(0, 1) : pieces).map((piece, i) => {
    const fetches: Record<string, Fetch> = {};
    if (i === 0) for (const name of results) fetches[name] = "return";
    if (targets !== undefined) {
      for (const name of piece.gradients) fetches[gradientName(name)] = targets.get(name)!;
      for (const [name, held] of piece.carried) fetches[name] = held;
    }
    const feeds = piece.program.inputs.map(({ name }) => [name, feedOf(name)] as const);
    const run = piece.program.run(Object.fromEntries(feeds), fetches);
    onPiece?.(i);
    return run;
  });
  const [first] = await Promise.all(runs);
  await Promise.all(asked);
  return Object.fromEntries(results.map((name) => [name, first![name] as Tensor]));
}

/** Loads a graph that has no weights of its own: all are fed. */
export function loadGraph(engine: Engine, name: string, graph: Graph): Promise<Program> {
  const onnx = encodeOnnx(graph, (parameter) => {
    throw new RangeError(`no weight ${parameter}: all are fed`);
  });
  // The graph is already what shall run, and weights that change cannot be packed.
  const sessionConfig = { "session.force_spinning_stop": "1" };
  // A planned block would lie beside the buffers of the first run, which has to find the sizes.
  return engine.load({ name, onnx, optimization: "disabled", memoryPattern: false, sessionConfig });
}
