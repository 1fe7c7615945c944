import type { ErrorCode, ErrorParts } from "../base/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { Blank, Device, Fetch, Held, Memory, Peers, Port, ProgramSource } from "./types.ts";

/** What the parent may ask of the engine's process, with the answer to each. */
export interface Calls {
  start: {
    /** `collective` is the address of a module. */
    params: { readonly device: Device; readonly threads: number; readonly collective?: string };
    answer: { readonly peers?: Omit<Peers, "sum" | "close"> };
  };
  load: {
    params: ProgramSource;
    answer: { readonly program: number; readonly inputs: readonly Port[]; readonly outputs: readonly Port[] };
  };
  run: {
    params: {
      readonly program: number;
      readonly feeds: Readonly<Record<string, Tensor | Held>>;
      readonly fetches: Readonly<Record<string, Fetch>>;
    };
    answer: Readonly<Record<string, Tensor | Held>>;
  };
  hold: { params: Tensor | Blank; answer: { readonly held: number } };
  view: {
    params: { readonly held: number; readonly start: number; readonly shape: readonly number[] };
    answer: { readonly held: number };
  };
  write: { params: { readonly held: number; readonly data: Tensor["data"] }; answer: null };
  read: { params: { readonly held: number }; answer: Tensor };
  /** Answered when the sums are there; what is asked for after it is served meanwhile. */
  sum: { params: { readonly held: number }; answer: null };
  leave: { params: null; answer: null };
  releaseProgram: { params: { readonly program: number }; answer: null };
  releaseHeld: { params: { readonly held: readonly number[] }; answer: null };
  memory: { params: null; answer: Memory };
}

export type CallName = keyof Calls;

export type Request = {
  [K in CallName]: { readonly id: number; readonly call: K; readonly params: Calls[K]["params"] };
}[CallName];

/** The fields of a `KandinskyError`, which cannot cross the pipe itself. */
export interface Failure {
  readonly code: ErrorCode;
  readonly parts: ErrorParts;
}

export type Answer =
  | { readonly id: number; readonly value: Calls[CallName]["answer"] }
  | { readonly id: number; readonly failure: Failure };
