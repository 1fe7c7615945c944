import { KandinskyError } from "../base/mod.ts";
import { OPCODES } from "./pickle-opcodes.ts";

/** All that a pickle can become here: data, and names out of a fixed table. Nothing of it is ever called. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleList
  | PickleTuple
  | PickleDict
  | PickleSymbol
  | PickleObject;

export interface PickleList {
  readonly kind: "list";
  readonly items: PickleValue[];
}

export interface PickleTuple {
  readonly kind: "tuple";
  readonly items: readonly PickleValue[];
}

export interface PickleDict {
  readonly kind: "dict";
  /** Only an OrderedDict may carry a state, which is dropped. */
  readonly ordered: boolean;
  readonly entries: Map<string | number | bigint, PickleValue>;
}

/** A global of the allow-list, by its dotted name. */
export interface PickleSymbol {
  readonly kind: "symbol";
  readonly name: string;
}

/** What the rules of a format made of a call or of a persistent id; `of` says which. */
export interface PickleObject {
  readonly kind: "object";
  readonly of: string;
  readonly content: unknown;
}

/** What a format allows beside plain data. Functions throw through `fail`. */
export interface PickleRules {
  /** Dotted names of the globals that may be named. */
  readonly globals: ReadonlySet<string>;
  /** What a call of an allowed global stands for. */
  readonly reduce: (name: string, args: readonly PickleValue[], fail: Fail) => PickleValue;
  /** What a persistent id stands for. */
  readonly persistent: (id: PickleValue, fail: Fail) => PickleValue;
}

/** Throws `file_corrupt`, or `file_unsafe` where the pickle wants something run. */
export type Fail = (seen: string, wanted: string, code?: "file_corrupt" | "file_unsafe") => never;

/** State of one run, for the table of opcodes. */
export interface Machine {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
  readonly stack: PickleValue[];
  /** Lengths of the stack at the open marks. */
  readonly marks: number[];
  readonly memo: Map<number, PickleValue>;
  readonly rules: PickleRules;
  readonly fail: Fail;
}

/** The released U-Net needs 35 thousand. It also bounds the values that a pickle can make. */
const MAX_OPCODES = 1_000_000;
const STOP = 0x2e;

/** The rules of a pickle that may hold plain data only. */
export const PLAIN: PickleRules = {
  globals: new Set(),
  reduce: (_, __, fail) => fail("a call", "plain data", "file_unsafe"),
  persistent: (_, fail) => fail("a persistent id", "plain data"),
};

/**
 * Interprets one pickle from byte `start`: an allow-list of opcodes on closed values. Names are looked up
 * in `rules.globals` and nowhere else. `where` names the file in messages.
 * Throws `file_unsafe` for an opcode or a global that is not allowed, `file_corrupt` for what is no pickle.
 * Source: Python's pickletools for the meaning of opcodes.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
  where: string,
): { readonly value: PickleValue; readonly end: number } {
  const machine: Machine = {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    at: start,
    stack: [],
    marks: [],
    memo: new Map(),
    rules,
    fail: (seen, wanted, code = "file_corrupt") => {
      throw new KandinskyError(code, {
        what:
          code === "file_unsafe" ? "the file is refused, nothing of it was run" : "cannot read the pickle",
        where: `${where}, byte ${machine.at} of the pickle`,
        seen,
        wanted,
        ...(code === "file_unsafe" ? { hint: "download the weights from their author, as safetensors" } : {}),
      });
    },
  };
  for (let count = 0; ; count++) {
    if (count === MAX_OPCODES) machine.fail(`more than ${MAX_OPCODES} opcodes`, "a state dict");
    const code = bytes[machine.at];
    if (code === undefined) return machine.fail("the end of the data", "the opcode STOP");
    const opcode = OPCODES.get(code);
    if (opcode === undefined) {
      const seen = `the opcode 0x${code.toString(16).padStart(2, "0")} (${nameOf(code)})`;
      return machine.fail(seen, "opcodes that carry data", "file_unsafe");
    }
    machine.at++;
    if (code === STOP) return { value: lastValue(machine), end: machine.at };
    opcode(machine);
  }
}

function lastValue({ stack, marks, fail }: Machine): PickleValue {
  if (stack.length !== 1 || marks.length > 0) fail(`${stack.length} values at STOP`, "one");
  return stack[0]!;
}

/** Opcodes that are never run, by the names a reader can look up. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  i: "INST",
  o: "OBJ",
  "\x81": "NEWOBJ",
  "\x92": "NEWOBJ_EX",
  "\x82": "EXT1",
  "\x83": "EXT2",
  "\x84": "EXT4",
  "0": "POP",
  "1": "POP_MARK",
  "2": "DUP",
  P: "PERSID",
};

function nameOf(code: number): string {
  const char = String.fromCharCode(code);
  return FORBIDDEN[char] ?? (/[!-~]/.test(char) ? `"${char}"` : "unknown");
}
