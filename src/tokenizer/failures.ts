import { KandinskyError } from "../base/mod.ts";

/** A tokenizer file that is damaged: `seen` says what was found in it. */
export function corrupt(file: string, seen: string, cause?: unknown): KandinskyError {
  const parts = {
    what: "cannot read the tokenizer",
    where: file,
    seen,
    hint: "it may be cut short; fetch it again",
  };
  return new KandinskyError("file_corrupt", parts, { cause });
}

/** A sound tokenizer file of another kind than T5's. */
export function unsupported(file: string, seen: string, wanted: string): KandinskyError {
  return new KandinskyError("model_config", { what: "this is no T5 tokenizer", where: file, seen, wanted });
}
