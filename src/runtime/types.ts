import type { DType, Tensor } from "../tensor/mod.ts";

/** Where programs run. */
export type Device = "cpu" | "webgpu" | "cuda";

export const DEVICES: readonly Device[] = ["cpu", "webgpu", "cuda"];

/** An input or output of a program. A string in `shape` is a dimension known only at run time. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

/** An ONNX model and how ONNX Runtime shall prepare it. */
export interface ProgramSource {
  /** Names the program in every error. */
  readonly name: string;
  /** The bytes of the ONNX file; weights may lie in external files. */
  readonly onnx: Uint8Array;
  /** Folder that external weight locations are relative to; they may not leave it, by `..` or by link. */
  readonly weightsFolder?: string;
  /** Graph optimisation level; "all" re-lays convolution weights (a private copy), "extended" maps them. */
  readonly optimization?: "disabled" | "basic" | "extended" | "all";
  /** Session entries by their dotted names, such as `{"session.disable_prepacking": "1"}`. */
  readonly sessionConfig?: Readonly<Record<string, string>>;
  /** Keep freed buffers for the next run (the runtime's default: true). */
  readonly arena?: boolean;
  /** Plan one block for all buffers of a run of known shapes (the runtime's default: true). */
  readonly memoryPattern?: boolean;
  /** File to write the optimised model to while loading. */
  readonly saveOptimizedTo?: string;
}

/** A tensor that stays in the engine's process. Valid for its engine until released there. */
export interface Held {
  readonly held: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * Whether an output crosses to the caller, stays in the engine as a new `Held`, or is written over the values of
 * one that is there. The one written over may be a feed of the same run, but the runtime does not know of it:
 * the graph must be elementwise and read no old value after it wrote the new one.
 */
export type Fetch = "return" | "hold" | Held;

/** The result type of a run: a `Tensor` for each "return", a `Held` for each "hold" or `Held` written over. */
export type Fetched<F extends Readonly<Record<string, Fetch>>> = {
  readonly [K in keyof F]: F[K] extends "return" ? Tensor : F[K] extends "hold" | Held ? Held : Tensor | Held;
};

/** Type and shape of a tensor of zeros. */
export type Blank = Pick<Tensor, "dtype" | "shape">;

/** A model loaded into an engine. */
export interface Program {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /**
   * Runs the model. `feeds` holds every input; only the outputs named in `fetches` are computed.
   * Throws `tensor_missing`, `tensor_unexpected`, `tensor_dtype` or `tensor_shape` before anything is sent, for
   * tensors to write over as for feeds,
   * `memory_exceeded` where a buffer cannot be had, `engine_died` and `cancelled` where the engine ends.
   */
  run<const F extends Readonly<Record<string, Fetch>>>(
    feeds: Readonly<Record<string, Tensor | Held>>,
    fetches: F,
  ): Promise<Fetched<F>>;
  /** Frees the session; held tensors that it made stay valid. */
  release(): Promise<void>;
}

/** Bytes of the engine's process. */
export interface Memory {
  /** Memory of its own: mapped weight files do not count (outside Linux they do). */
  readonly privateBytes: number;
  /** Largest resident size so far; mapped pages that were touched count. */
  readonly peakBytes: number;
}

/** Processes that work on one thing together, an engine each. */
interface Together {
  /** Which of them this is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** What carries the messages, for reports. */
  readonly library: string;
  /** Says goodbye: to be called at the end by every one of them. */
  close(): Promise<void>;
}

/**
 * What carries sums between engines, inside their processes. A module named by `EngineOptions.collective` is loaded
 * there; its default export opens one.
 */
export interface Collective extends Together {
  /**
   * Replaces the values by their sums over all processes, on another thread than the caller's. Calls are carried out
   * in the order in which they were made, which must be the same in all processes.
   */
  sum(values: Float32Array): Promise<void>;
}

/** An engine's place among those that work together with it. */
export interface Peers extends Together {
  /**
   * Replaces the values of a held float32 tensor by their sums over all engines. It begins when the requests before
   * it are done, and the requests after it are served meanwhile: those may not touch these values before the promise
   * is kept. Sums must be asked for in the same order, with the same sizes, in all engines.
   */
  sum(held: Held): Promise<void>;
}

/** ONNX Runtime in a child process. Requests are served one after the other. */
export interface Engine extends AsyncDisposable {
  readonly device: Device;
  readonly threads: number;
  /** Process id. */
  readonly pid: number;
  /** Those it works together with, where it was started with something that carries sums. */
  readonly peers?: Peers;
  /**
   * Prepares a model. Throws `graph_invalid` for a model the runtime refuses, `file_missing`, `file_escapes`
   * or `file_corrupt` for external weights, `memory_exceeded`.
   */
  load(source: ProgramSource): Promise<Program>;
  /** Keeps a tensor in the engine; of a `Blank` the zeros are made there. Throws `memory_exceeded`. */
  hold(value: Tensor | Blank): Promise<Held>;
  /**
   * A part of a held tensor's elements in their order, as a tensor of the same memory: what is written to one
   * is written to both. Throws `tensor_shape` where it does not lie inside.
   */
  view(held: Held, start: number, shape: readonly number[]): Promise<Held>;
  /** Writes values over those of a held tensor of their type and shape; throws `tensor_dtype`, `tensor_shape`. */
  write(held: Held, value: Tensor): Promise<void>;
  /** The values that a held tensor has now. */
  read(held: Held): Promise<Tensor>;
  /** Frees held tensors. Releasing one twice does nothing. */
  release(held: Held | readonly Held[]): Promise<void>;
  /** On Linux this also answers while a run is going on. */
  memory(): Promise<Memory>;
  /** Ends the process at once, even within a run; everything pending rejects with `cancelled`. */
  kill(): void;
}
