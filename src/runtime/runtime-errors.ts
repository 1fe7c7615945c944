import { type ErrorCode, KandinskyError } from "../base/mod.ts";
import type { ProgramSource } from "./types.ts";

interface Rule {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly wanted?: string;
  readonly hint?: string;
}

/** ONNX Runtime reports failures as text only: the first pattern that matches says what kind it is. */
const RULES: readonly Rule[] = [
  {
    pattern: /bad_alloc|Failed to allocate memory|out of memory/i,
    code: "memory_exceeded",
    hint: "choose a smaller size or close other programs",
  },
  {
    pattern: /escapes (?:model|working) directory|Absolute path not allowed/,
    code: "file_escapes",
    wanted: "a location inside the weights folder",
    hint: "links may not leave it: pass the folder that really holds the files",
  },
  { pattern: /External data path does not exist/, code: "file_missing" },
  {
    pattern: /out of bounds or can not be read in full/,
    code: "file_corrupt",
    hint: "the weights file is shorter than expected: download it again",
  },
  {
    pattern: /Unsupported data type: 16/,
    code: "graph_invalid",
    wanted:
      "inputs and outputs of other types than bfloat16, which ONNX Runtime's binding for Node cannot pass",
  },
];

/** What ONNX Runtime threw, as an error that names the program. */
export function loadError(source: ProgramSource, error: unknown): KandinskyError {
  return translate(`cannot load ${source.name}`, source.weightsFolder, error);
}

/** As `loadError`, for a run. */
export function runError(name: string, error: unknown): KandinskyError {
  return translate(`cannot run ${name}`, undefined, error);
}

function translate(what: string, folder: string | undefined, error: unknown): KandinskyError {
  const seen = readable(error instanceof Error ? error.message : String(error));
  const rule = RULES.find(({ pattern }) => pattern.test(seen));
  const isFile = rule?.code.startsWith("file_") === true;
  return new KandinskyError(rule?.code ?? "graph_invalid", {
    what,
    seen,
    ...(isFile && folder !== undefined ? { where: folder } : {}),
    ...(rule?.wanted === undefined ? {} : { wanted: rule.wanted }),
    ...(rule?.hint === undefined ? {} : { hint: rule.hint }),
  });
}

/** Drops the C++ file, line and signature in front of a message, and its line breaks. */
export function readable(message: string): string {
  return message
    .replace(/\/onnxruntime_src\/\S+:\d+ (?:.*?\)(?:::<lambda\(\)>)? )?/gs, "")
    .replace(/\b\w+\.cc:\d+ \w+ /g, "")
    .replace(/\s+/g, " ")
    .trim();
}
