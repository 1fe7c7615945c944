import { KandinskyError } from "../base/mod.ts";
import type { Graph, ParameterShape } from "../graph/mod.ts";
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
import { sumOverPeers } from "./peers.ts";
import { type LoadedStep, loadGraph, loadStep, releaseStep, runStep } from "./program.ts";

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
  /** The mean over the parts of the batch, those of other engines too. */
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
   * One update from a batch given in parts of equal size: the gradients of the parts are added up, over all engines
   * that work together, each with as many parts of its own.
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
  const gradientsHeld = buffers.roles.get("gradient")!;
  const squares = await loadGraph(engine, "gradient norm", squaresGraph(shapes));
  const update = await loadUpdate(engine, optimizer, buffers);
  const accumulator = onDemand(() => openAccumulator(engine, shapes, optimizer, buffers));
  const programs = new WeakMap<TrainingProgram, SharedStep>();
  const { peers } = engine;
  const sumOf = sumOverPeers(engine);
  let { updates, samples } = start;

  return {
    get updates() {
      return updates;
    },
    get samples() {
      return samples;
    },
    async prepare(name, graph) {
      const count = peers === undefined ? 1 : PIECES;
      const loaded = await loadStep(engine, name, graph, { trained: shapes, known, count });
      const shared = await shareStep(engine, loaded, buffers);
      const program = {
        async release() {
          await releaseStep(engine, loaded);
          await engine.release(shared.ranges.flat());
        },
      };
      programs.set(program, shared);
      return program;
    },
    evaluate(program, part, average) {
      const held = average === undefined ? buffers.parameters : buffers.roles.get(`average/${average}`)!;
      const parameterOf = (name: string) => held.get(name) ?? buffers.parameters.get(name)!;
      return runStep(engine, programs.get(program)!.loaded, { part, parameterOf });
    },
    async step(program, parts, { learningRate, samples: seen }) {
      const { loaded, chunks, ranges } = programs.get(program)!;
      const parameterOf = (name: string) => buffers.parameters.get(name)!;
      const results: Readonly<Record<string, Tensor>>[] = [];
      const asked: Promise<void>[] = [];
      const ask = (promise: Promise<void>) => {
        // Heard of below, or never where the run itself failed.
        promise.catch(() => {});
        asked.push(promise);
      };
      for (const [i, part] of parts.entries()) {
        const more = i === 0 ? undefined : await accumulator();
        const onPiece = (piece: number) => {
          if (more !== undefined) ask(more.add(chunks[piece]!));
          if (i === parts.length - 1) for (const range of ranges[piece]!) ask(peers!.sum(range));
        };
        results.push(
          await runStep(engine, loaded, {
            part,
            parameterOf,
            targets: more?.targets ?? gradientsHeld,
            onPiece,
          }),
        );
      }
      await Promise.all(asked);
      const count = parts.length * (peers?.size ?? 1);
      const losses = results.map(({ loss }) => loss!.data[0] as number);
      const [total] = await sumOf([losses.reduce((a, b) => a + b)]);
      const loss = checkedLoss(total! / count);
      // All that work together take the same norm, and so stay equal bit for bit whatever their processors are.
      const [norms] = await sumOf([await normOf(squares, shapes, gradientsHeld)]);
      const gradientNorm = norms! / (peers?.size ?? 1) / count;
      const shortened = Math.min(1, optimizer.clip / (gradientNorm + CLIP_EPSILON));
      const numbers = updateNumbers(optimizer, {
        update: updates + 1,
        learningRate,
        gradientScale: shortened / count,
        samples: seen,
      });
      await update(numbers);
      updates += 1;
      samples += seen;
      return { loss, gradientNorm, results };
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
/**
 * Pieces of a step whose gradients are summed over several engines: what the last one made is sent when nothing is left
 * to compute, the others meanwhile.
 */
export const PIECES = 8;

/** A step, and what each of its pieces completes. */
interface SharedStep {
  readonly loaded: LoadedStep;
  /** Numbers of chunks of gradients. */
  readonly chunks: readonly (readonly number[])[];
  /** The same as stretches of memory to sum over all engines; none where this one works alone. */
  readonly ranges: readonly (readonly Held[])[];
}

async function shareStep(engine: Engine, loaded: LoadedStep, buffers: Buffers): Promise<SharedStep> {
  const pieceOf = new Map(loaded.pieces.flatMap(({ gradients }, i) => gradients.map((name) => [name, i])));
  const last = buffers.chunks.map(({ names }) => Math.max(...names.map((name) => pieceOf.get(name)!)));
  const chunks = loaded.pieces.map((_, piece) => [...last.keys()].filter((i) => last[i] === piece));
  if (engine.peers === undefined) return { loaded, chunks, ranges: chunks.map(() => []) };
  const ranges = await inTurn(chunks, (numbers) =>
    inTurn(stretchesOf(numbers), ([first, count]) =>
      engine.view(buffers.gradients, first * CHUNK, [count * CHUNK]),
    ),
  );
  return { loaded, chunks, ranges };
}

/** Rising numbers as stretches without gaps: the first and how many. */
function stretchesOf(numbers: readonly number[]): (readonly [first: number, count: number])[] {
  const starts = numbers.filter((n, i) => i === 0 || numbers[i - 1] !== n - 1);
  return starts.map((first, i) => [
    first,
    numbers.filter((n) => n >= first && n < (starts[i + 1] ?? Infinity)).length,
  ]);
}

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

function checkedLoss(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new KandinskyError("result_not_finite", {
    what: "training met a loss that is not finite",
    seen: String(value),
    hint: "a lower learning rate usually helps; the weights were not changed",
  });
}

/** A second set of gradients, and what adds them to the first. */
interface Accumulator {
  readonly targets: HeldByName;
  add(chunks: readonly number[]): Promise<void>;
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
    async add(numbers) {
      await Promise.all(numbers.map((i) => program.run(...runs[i]!)));
    },
  };
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
