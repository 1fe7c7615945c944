import type { GradientSize } from "./scaling/buckets.ts";

/** What one process is asked to measure; the same words go to ours and to `peer.py`. */

/** A U-Net pass of one size. */
export interface UNetCase {
  readonly name: string;
  readonly batch: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Rows of text. */
  readonly tokens: number;
  /** Timesteps that the prologue prepares, the first of them being the one that is evaluated. */
  readonly times: readonly number[];
  /** Timed passes after one that is not; 0: only load. */
  readonly repeats: number;
}

export interface MovqCase {
  readonly name: string;
  readonly direction: "decode" | "encode";
  readonly width: number;
  readonly height: number;
  readonly repeats: number;
}

export interface TextCase {
  readonly name: string;
  readonly tokens: number;
  readonly repeats: number;
}

/** A whole picture of the embedded model. */
export interface NanoCase {
  readonly name: string;
  readonly prompt: string;
  readonly seed: number;
  readonly side: number;
  readonly steps: number;
  /** Timed pictures after one that is not; 0: only that one. */
  readonly repeats: number;
}

/** A square product, or a chain of 3x3 convolutions that keep their size. */
export type PeakCase =
  | { readonly name: string; readonly op: "product"; readonly side: number }
  | { readonly name: string; readonly op: "convolution"; readonly channels: number; readonly side: number };

/** Training steps of a U-Net. */
export interface StepCase {
  readonly name: string;
  readonly batch: number;
  /** Latent cells along a side. */
  readonly side: number;
  readonly tokens: number;
  readonly repeats: number;
}

export interface Cases {
  step: StepCase;
  peak: PeakCase;
  unet: UNetCase;
  movq: MovqCase;
  text: TextCase;
  nano: NanoCase;
}

export type Kind = keyof Cases;

/** Work for one process: all cases of one kind, one after the other. */
export interface Job<K extends Kind = Kind> {
  readonly kind: K;
  /** Folder of the whole model; for training steps that of the U-Net. */
  readonly model: string;
  /** Safetensors with `CASE/INPUT` of every case. */
  readonly inputs: string;
  /** Safetensors to write, one tensor a case, named after it. */
  readonly outputs: string;
  readonly threads: number;
  readonly cases: readonly Cases[K][];
}

/** Seconds of every timed repeat, by case. */
export interface Timed {
  readonly name: string;
  readonly seconds: readonly number[];
}

/** What memory a case took, in bytes. */
export interface Footprint {
  /** Private memory of the engine before the first pass. */
  readonly readyPrivateBytes: number;
  /** The most private memory that the engine had. */
  readonly peakPrivateBytes: number;
  /** Largest resident sizes of both processes, mapped weights included, added up. */
  readonly peakBytes: number;
}

/** Floating point operations of one run. */
export interface Work {
  /** Of the model as it is written down. */
  readonly referenceFlops: number;
  /** Of what is executed each time; for the U-Net one step without the prologue. */
  readonly executedFlops: number;
}

/** The most memory that a case took, in bytes: private of the engine, and resident of both processes. */
export type PeakMemory = Pick<Footprint, "peakPrivateBytes" | "peakBytes">;

export interface PeakResult extends Timed, PeakMemory {
  readonly flops: number;
}

export interface UNetResult extends Timed, Footprint, Work {
  /** From nothing until the first pass can start (engine, headers, graph, packing, prologue), in each round. */
  readonly readySeconds: readonly number[];
  /** Bytes packed meanwhile. */
  readonly packedBytes: number;
  /** Text projection and prologue, with loading their weights. */
  readonly prologueSeconds: readonly number[];
  readonly prologueFlops: number;
  /** Timesteps that the prologue prepared. */
  readonly steps: number;
}

export interface MovqResult extends Timed, Footprint, Work {
  /** From nothing to the end of the first run, in each round. */
  readonly firstSeconds: readonly number[];
  readonly packedBytes: number;
}

export interface TextResult extends Timed, Footprint, Work {
  /** As the product does it: load, run, release. */
  readonly wholeSeconds: readonly number[];
}

/** Private memory is of both processes here. */
export interface NanoResult extends Timed, PeakMemory {}

export interface StepResult extends Timed {
  readonly batch: number;
  /** Largest resident sizes of both processes, added up. */
  readonly peakBytes: number;
  /** Of every step, the first untimed one among them. */
  readonly losses: readonly number[];
  /** Floating point operations of the forward pass. */
  readonly forwardFlops: number;
  /** Every trained tensor and its number of values. */
  readonly gradients: readonly GradientSize[];
}

export interface Results {
  step: StepResult;
  peak: PeakResult;
  unet: UNetResult;
  movq: MovqResult;
  text: TextResult;
  nano: NanoResult;
}

/** Measures all cases of a job and writes their outputs. */
export type Visit<K extends Kind> = (job: Job<K>, tell: (line: string) => void) => Promise<Results[K][]>;
