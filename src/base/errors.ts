/**
 * Every failure a user can meet, by code. `fault` decides the exit code of the command line
 * (user 2, environment 3, internal 1, cancelled 130) and whether a stack trace may be shown.
 */
export const ERRORS = {
  option_invalid: { fault: "user" },
  option_unknown: { fault: "user" },
  input_missing: { fault: "user" },
  model_missing: { fault: "user" },
  model_family: { fault: "user" },
  model_config: { fault: "user" },
  file_missing: { fault: "user" },
  file_corrupt: { fault: "user" },
  file_escapes: { fault: "user" },
  file_unsafe: { fault: "user" },
  tensor_missing: { fault: "user" },
  tensor_unexpected: { fault: "user" },
  tensor_shape: { fault: "user" },
  tensor_dtype: { fault: "user" },
  quantization_unknown: { fault: "user" },
  tokenizer_missing: { fault: "user" },
  null_embedding_missing: { fault: "user" },
  size_unit: { fault: "user" },
  picture_unfit: { fault: "user" },
  memory_exceeded: { fault: "user" },
  output_unwritable: { fault: "user" },
  output_exists: { fault: "user" },
  disk_full: { fault: "environment" },
  device_absent: { fault: "user" },
  source_missing: { fault: "user" },
  source_refused: { fault: "user" },
  source_unreachable: { fault: "environment" },
  source_corrupt: { fault: "environment" },
  store_busy: { fault: "environment" },
  library_absent: { fault: "user" },
  engine_died: { fault: "environment" },
  program_failed: { fault: "environment" },
  result_not_finite: { fault: "environment" },
  result_constant: { fault: "environment" },
  graph_invalid: { fault: "internal" },
  cancelled: { fault: "cancelled" },
} as const satisfies Record<string, { fault: "user" | "environment" | "internal" | "cancelled" }>;

/** The name of one kind of failure. */
export type ErrorCode = keyof typeof ERRORS;

/** The parts of an error message, kept as fields so that each surface can word them its own way. */
export interface ErrorParts {
  /** What failed, without a final period: "cannot load the U-Net". */
  readonly what: string;
  /** File, tensor or option at fault. */
  readonly where?: string;
  /** The value seen. */
  readonly seen?: string;
  /** The value wanted. */
  readonly wanted?: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** One error class for the whole system; `code` says which failure, `parts` says where and what. */
export class KandinskyError extends Error {
  override readonly name = "KandinskyError";
  readonly code: ErrorCode;
  readonly parts: ErrorParts;

  constructor(code: ErrorCode, parts: ErrorParts, options?: { cause?: unknown }) {
    super(composeMessage(parts), options);
    this.code = code;
    this.parts = parts;
  }

  get fault(): (typeof ERRORS)[ErrorCode]["fault"] {
    return ERRORS[this.code].fault;
  }
}

function composeMessage({ what, where, seen, wanted, hint }: ErrorParts): string {
  const facts = [seen === undefined ? "" : `seen ${seen}`, wanted === undefined ? "" : `wanted ${wanted}`]
    .filter((part) => part !== "")
    .join(", ");
  return [[what, where, facts].filter((part) => part !== undefined && part !== "").join(": "), hint]
    .filter((part) => part !== undefined)
    .join("; ");
}
