import { KandinskyError } from "../base/mod.ts";
import { type Graph, type ParameterShape, parametersOf } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import type { Engine, Fetch, Held, Program } from "../runtime/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { type Buffers, CHUNK, type HeldByName, holdLike, openBuffers } from "./buffers.ts";
import { checkInPlace } from "./in-place.ts";
import {
  accumulateGraph,
  inputName,
  type OptimizerConfig,
  type Role,
  squaresGraph,
  updatedName,
  updatedRoles,
  updateGraph,
  updateNumbers,
} from "./optimizer.ts";
import { trainingGraph } from "./passes.ts";

/** Where training stands: values by parameter name. What is missing of a fresh start begins as it must. */
export interface TrainingState {
  /** Updates made so far. */
  readonly updates: number;
  /** Samples seen so far. */
  readonly samples: number;
  /** Every parameter; to begin with, frozen ones too. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Moments of the trained parameters; zeros where absent. */
  readonly first?: ReadonlyMap<string, Tensor>;
  readonly second?: ReadonlyMap<string, Tensor>;
  /** Averages of the trained parameters, one map a half-life; the parameters themselves where absent. */
  readonly averages?: readonly ReadonlyMap<string, Tensor>[];
}

export interface TrainerOptions {
  readonly engine: Engine;
  /** Which of the parameters are trained. */
  readonly trained: readonly string[];
  readonly optimizer: OptimizerConfig;
  readonly state: TrainingState;
}

/** A graph made ready for batches of one shape. */
export interface TrainingProgram {
  /** Frees it. */
  release(): Promise<void>;
}

export interface StepResult {
  /** The mean over the parts of the batch. */
  readonly loss: number;
  /** The norm of the gradients of the mean loss, before clipping. */
  readonly gradientNorm: number;
  /** All results of the graph but the derivatives, for each part of the batch. */
  readonly results: readonly Readonly<Record<string, Tensor>>[];
}

export interface StepOptions {
  readonly learningRate: number;
  /** Samples in all parts of the batch together. */
  readonly samples: number;
}

/** Parameters, moments and averages in an engine, and what moves them. They stay there between steps. */
export interface Trainer {
  readonly updates: number;
  readonly samples: number;
  /**
   * Loads a graph whose results hold a scalar `loss`; its parameters are the trainer's by name. A trainer may
   * have several, one for each shape of batch. Throws `tensor_missing` for a parameter that it does not have,
   * `graph_invalid` where the graph does not read all that are trained.
   */
  prepare(name: string, graph: Graph): Promise<TrainingProgram>;
  /**
   * One update from a batch given in parts of equal size: the gradients of the parts are added up.
   * Throws `result_not_finite` naming the loss or the first parameter whose gradient is not finite; then
   * nothing was changed.
   */
  step(
    program: TrainingProgram,
    parts: readonly Readonly<Record<string, Tensor>>[],
    options: StepOptions,
  ): Promise<StepResult>;
  /** The results of a graph made ready, without an update: of the parameters, or of the average of that number. */
  evaluate(
    program: TrainingProgram,
    part: Readonly<Record<string, Tensor>>,
    average?: number,
  ): Promise<Readonly<Record<string, Tensor>>>;
  /**
   * Multiplies a trained parameter and its averages, and its moments so that they fit gradients that shrink as it
   * grows: for a parameter whose scale the graph's norms take out again.
   */
  rescale(name: string, factor: number): Promise<void>;
  /** The average of that number of the trained parameters, by name. */
  averaged(average: number): Promise<ReadonlyMap<string, Tensor>>;
  /** All that changes, as it is now, without frozen parameters: what a checkpoint stores. */
  state(): Promise<Required<TrainingState>>;
}

/** Puts a state into an engine and loads the optimiser. The engine stays the caller's. */
export async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { engine, optimizer, trained, state: start } = options;
  // Names alone: the values are in the engine now, and the caller may let go of them.
  const known = new Set(start.parameters.keys());
  const shapes = trainedShapes(trained, start.parameters);
  const buffers = await holdState(engine, shapes, optimizer, start);
  const load = (name: string, graph: Graph) => loadGraph(engine, name, graph);
  const gradientsHeld = buffers.roles.get("gradient")!;
  const squares = await load("gradient norm", squaresGraph(shapes));
  const update = await loadUpdate(engine, optimizer, buffers);
  const accumulator = onDemand(() => openAccumulator(engine, shapes, optimizer, buffers));
  const programs = new WeakMap<TrainingProgram, LoadedStep>();
  let { updates, samples } = start;

  const run = async (
    program: TrainingProgram,
    part: Readonly<Record<string, Tensor>>,
    targets: HeldByName | undefined,
    average?: number,
  ): Promise<Readonly<Record<string, Tensor>>> => {
    const loaded = programs.get(program)!;
    const fetches: Record<string, Fetch> = {};
    for (const name of loaded.results) fetches[name] = "return";
    if (targets) for (const name of loaded.trained) fetches[`grad/${name}`] = targets.get(name)!;
    const averages = average === undefined ? undefined : buffers.roles.get(`average/${average}`)!;
    const heldOf = (name: string) => averages?.get(name) ?? buffers.parameters.get(name)!;
    const weights = loaded.parameters.map((name) => [name, heldOf(name)] as const);
    const all = await loaded.program.run({ ...part, ...Object.fromEntries(weights) }, fetches);
    return Object.fromEntries(loaded.results.map((name) => [name, all[name] as Tensor]));
  };

  return {
    get updates() {
      return updates;
    },
    get samples() {
      return samples;
    },
    async prepare(name, graph) {
      const loaded = await loadStep(engine, name, graph, shapes, known);
      const program = { release: () => loaded.program.release() };
      programs.set(program, loaded);
      return program;
    },
    evaluate: (program, part, average) => run(program, part, undefined, average),
    async step(program, parts, { learningRate, samples: seen }) {
      const results: Readonly<Record<string, Tensor>>[] = [];
      for (const [i, part] of parts.entries()) {
        const more = i === 0 ? undefined : await accumulator();
        results.push(await run(program, part, more?.targets ?? gradientsHeld));
        checkLoss(results.at(-1)!);
        await more?.add();
      }
      const gradientNorm = (await normOf(squares, shapes, gradientsHeld)) / parts.length;
      const shortened = Math.min(1, optimizer.clip / (gradientNorm + CLIP_EPSILON));
      const numbers = updateNumbers(optimizer, {
        update: updates + 1,
        learningRate,
        gradientScale: shortened / parts.length,
        samples: seen,
      });
      await update(numbers);
      updates += 1;
      samples += seen;
      const losses = results.map(({ loss }) => loss!.data[0] as number);
      return { loss: losses.reduce((a, b) => a + b) / losses.length, gradientNorm, results };
    },
    async rescale(name, factor) {
      for (const [role, byName] of buffers.roles) {
        if (role === "gradient") continue;
        const held = byName.get(name)!;
        const { shape, data } = await engine.read(held);
        const times = factor ** (RESCALED[role] ?? 1);
        await engine.write(
          held,
          float32(
            shape,
            (data as Float32Array).map((x) => x * times),
          ),
        );
      }
    },
    averaged: (average) => readAll(engine, buffers.roles.get(`average/${average}`)!),
    async state() {
      const read = (held: HeldByName) => readAll(engine, held);
      return {
        updates,
        samples,
        parameters: await read(buffers.roles.get("parameter")!),
        first: await read(buffers.roles.get("first")!),
        second: await read(buffers.roles.get("second")!),
        averages: await inTurn(optimizer.halfLives, (_, i) => read(buffers.roles.get(`average/${i}`)!)),
      };
    },
  };
}

/** The power of the factor that moments are multiplied by when their parameter is multiplied by it. */
const RESCALED: Readonly<Partial<Record<Role, number>>> = { first: -1, second: -2 };

/** As PyTorch's clip_grad_norm_ has it. */
const CLIP_EPSILON = 1e-6;

function trainedShapes(names: readonly string[], parameters: ReadonlyMap<string, Tensor>): ParameterShape[] {
  return names.map((name) => {
    const found = parameters.get(name);
    if (found !== undefined) return { name, shape: found.shape };
    throw new KandinskyError("tensor_missing", { what: "cannot train a parameter", where: name });
  });
}

function holdState(
  engine: Engine,
  shapes: readonly ParameterShape[],
  config: OptimizerConfig,
  state: TrainingState,
): Promise<Buffers> {
  const { parameters, first, second, averages } = state;
  const initial = new Map<Role, ReadonlyMap<string, Tensor>>([["parameter", parameters]]);
  if (first !== undefined) initial.set("first", first);
  if (second !== undefined) initial.set("second", second);
  for (const i of config.halfLives.keys()) initial.set(`average/${i}`, averages?.[i] ?? parameters);
  const trained = new Set(shapes.map(({ name }) => name));
  const frozen = new Map([...parameters].filter(([name]) => !trained.has(name)));
  return openBuffers(engine, shapes, config, initial, frozen);
}

interface LoadedStep {
  readonly program: Program;
  /** Parameters that the graph reads. */
  readonly parameters: readonly string[];
  /** All that are trained. */
  readonly trained: readonly string[];
  /** Results but derivatives. */
  readonly results: readonly string[];
}

async function loadStep(
  engine: Engine,
  name: string,
  graph: Graph,
  shapes: readonly ParameterShape[],
  known: ReadonlySet<string>,
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
  const trained = shapes.map((shape) => shape.name);
  const unread = trained.filter((one) => !used.has(one));
  if (unread.length > 0) {
    throw new KandinskyError("graph_invalid", {
      what: `cannot prepare ${name}`,
      seen: `trained parameters that it does not read: ${unread.join(", ")}`,
    });
  }
  const program = await loadGraph(engine, name, trainingGraph(graph, trained));
  const taken = new Set(program.inputs.map((port) => port.name));
  return {
    program,
    parameters: [...used].filter((one) => taken.has(one)),
    trained,
    results: [...graph.outputs.keys()],
  };
}

/** Runs an update over all buffers, a chunk at a time; its results are written over what it reads. */
type Update = (numbers: Readonly<Record<string, Tensor>>) => Promise<void>;

async function loadUpdate(engine: Engine, config: OptimizerConfig, { chunks }: Buffers): Promise<Update> {
  const programs = new Map<boolean, Program>();
  for (const decays of new Set(chunks.map((chunk) => chunk.decays))) {
    const graph = updateGraph([CHUNK_SHAPE], { ...config, decays: () => decays });
    programs.set(decays, await loadInPlace(engine, "update", graph, updatedRoles(config.halfLives.length)));
  }
  return async (numbers) => {
    const runs = chunks.map(async ({ decays, held }) => {
      const program = programs.get(decays)!;
      const feeds = [...held].map(([role, part]) => [inputName(role, CHUNK_SHAPE.name), part] as const);
      const taken = program.inputs.flatMap(({ name }) =>
        numbers[name] ? [[name, numbers[name]] as const] : [],
      );
      await program.run(
        { ...Object.fromEntries(feeds), ...Object.fromEntries(taken) },
        writtenOver(updatedRoles(config.halfLives.length), held),
      );
    });
    // The engine serves them in turn; asking for all at once keeps it from waiting for this process.
    await Promise.all(runs);
  };
}

const CHUNK_SHAPE: ParameterShape = { name: "chunk", shape: [CHUNK] };

function loadInPlace(engine: Engine, name: string, graph: Graph, roles: readonly Role[]): Promise<Program> {
  const pairs = roles.map(
    (role) => [inputName(role, CHUNK_SHAPE.name), updatedName(role, CHUNK_SHAPE.name)] as const,
  );
  return loadGraph(engine, name, checkInPlace(graph, new Map(pairs)));
}

function writtenOver(roles: readonly Role[], held: ReadonlyMap<Role, Held>): Record<string, Fetch> {
  return Object.fromEntries(
    roles.map((role) => [updatedName(role, CHUNK_SHAPE.name), held.get(role)!] as const),
  );
}

/** The norm of all gradients together. */
async function normOf(
  program: Program,
  shapes: readonly ParameterShape[],
  held: HeldByName,
): Promise<number> {
  const feeds = shapes.map(({ name }) => [inputName("gradient", name), held.get(name)!] as const);
  const { squares } = await program.run(Object.fromEntries(feeds), { squares: "return" });
  const sums = squares.data as Float32Array;
  const bad = sums.findIndex((sum) => !Number.isFinite(sum));
  if (bad >= 0) {
    throw new KandinskyError("result_not_finite", {
      what: "training met a gradient that is not finite",
      where: shapes[bad]!.name,
      seen: String(sums[bad]),
      hint: "a lower learning rate or a lower clip usually helps; the weights were not changed",
    });
  }
  return Math.sqrt(sums.reduce((total, sum) => total + sum, 0));
}

function checkLoss({ loss }: Readonly<Record<string, Tensor>>): void {
  const value = loss!.data[0] as number;
  if (Number.isFinite(value)) return;
  throw new KandinskyError("result_not_finite", {
    what: "training met a loss that is not finite",
    seen: String(value),
    hint: "a lower learning rate usually helps; the weights were not changed",
  });
}

/** A second set of gradients, and what adds them to the first. */
interface Accumulator {
  readonly targets: HeldByName;
  add(): Promise<void>;
}

async function openAccumulator(
  engine: Engine,
  shapes: readonly ParameterShape[],
  config: OptimizerConfig,
  { chunks }: Buffers,
): Promise<Accumulator> {
  const more = await holdLike(engine, shapes, config);
  const program = await loadInPlace(engine, "accumulate", accumulateGraph([CHUNK_SHAPE]), ["gradient"]);
  const runs = chunks.map(({ held }, i) => {
    const feeds = {
      [inputName("gradient", CHUNK_SHAPE.name)]: held.get("gradient")!,
      [`more/${CHUNK_SHAPE.name}`]: more.chunks[i]!,
    };
    return [feeds, writtenOver(["gradient"], held)] as const;
  });
  return {
    targets: more.byName,
    async add() {
      await Promise.all(runs.map(([feeds, fetches]) => program.run(feeds, fetches)));
    },
  };
}

function loadGraph(engine: Engine, name: string, graph: Graph): Promise<Program> {
  const onnx = encodeOnnx(graph, (parameter) => {
    throw new RangeError(`no weight ${parameter}: all are fed`);
  });
  // The graph is already what shall run, and weights that change cannot be packed.
  const sessionConfig = { "session.force_spinning_stop": "1" };
  // A planned block would lie beside the buffers of the first run, which has to find the sizes.
  return engine.load({ name, onnx, optimization: "disabled", memoryPattern: false, sessionConfig });
}

async function readAll(engine: Engine, held: HeldByName): Promise<ReadonlyMap<string, Tensor>> {
  const values = new Map<string, Tensor>();
  for (const [name, one] of held) values.set(name, await engine.read(one));
  return values;
}

async function inTurn<A, B>(items: readonly A[], make: (item: A, i: number) => Promise<B>): Promise<B[]> {
  const made: B[] = [];
  for (const [i, item] of items.entries()) made.push(await make(item, i));
  return made;
}

function onDemand<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
