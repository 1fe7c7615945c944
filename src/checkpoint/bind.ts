import { type ErrorCode, KandinskyError, nearest } from "../base/mod.ts";
import { formatShape } from "../tensor/mod.ts";
import { FLOAT_DTYPES, type TensorEntry } from "./entry.ts";

/** A parameter that a model reads. */
export interface WantedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface BindOptions {
  /** What the tensors are for, as in "cannot load the U-Net": "the U-Net". */
  readonly what: string;
  /** Tensors that may lie in the files unused, each pattern with the reason why. */
  readonly tolerated?: readonly { readonly pattern: RegExp; readonly reason: string }[];
  /** Other names in the files for a wanted one (tied or renamed copies), as alias to wanted name. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** Problems named one by one in a message; the rest is counted. */
const MAX_LISTED = 10;

interface Problem {
  readonly code: ErrorCode;
  readonly text: string;
}

/**
 * Finds every wanted tensor in a part's files, and nothing else there: the result maps each wanted name to
 * its entry. A wanted name comes before its alias; where both are there the alias is a tied copy and unused.
 * Throws one error for all tensors that are missing (`tensor_missing`), mis-shaped (`tensor_shape`), of no
 * floating type (`tensor_dtype`) or unexpected (`tensor_unexpected`), with the code of the first of these kinds.
 */
export function bind(
  wanted: readonly WantedTensor[],
  part: { readonly folder: string; readonly tensors: ReadonlyMap<string, TensorEntry> },
  options: BindOptions,
): ReadonlyMap<string, TensorEntry> {
  const aliases = Object.entries(options.aliases ?? {});
  const bound = new Map<string, TensorEntry>();
  const used = new Set<string>();
  const missing: WantedTensor[] = [];
  const misfits: Problem[] = [];
  for (const parameter of wanted) {
    const names = [
      parameter.name,
      ...aliases.filter(([, name]) => name === parameter.name).map(([alias]) => alias),
    ];
    const entries = names.map((name) => part.tensors.get(name)).filter((entry) => entry !== undefined);
    for (const entry of entries) {
      used.add(entry.name);
      misfits.push(...findMisfits(entry, parameter));
    }
    if (entries[0] === undefined) missing.push(parameter);
    else bound.set(parameter.name, entries[0]);
  }
  const unexpected = [...part.tensors.values()].filter(
    ({ name }) => !used.has(name) && !options.tolerated?.some(({ pattern }) => pattern.test(name)),
  );
  const problems = [
    ...describeMissing(missing, unexpected),
    ...misfits,
    ...unexpected.map(describeUnexpected),
  ];
  if (problems.length > 0) throw bindError(problems, part.folder, options.what);
  return bound;
}

function findMisfits(entry: TensorEntry, { shape }: WantedTensor): Problem[] {
  const at = `${JSON.stringify(entry.name)} in ${entry.file}`;
  const problems: Problem[] = [];
  if (entry.shape.length !== shape.length || entry.shape.some((size, axis) => size !== shape[axis])) {
    const text = `shape of ${at}: seen ${formatShape(entry.shape)}, wanted ${formatShape(shape)}`;
    problems.push({ code: "tensor_shape", text });
  }
  if (!FLOAT_DTYPES.has(entry.dtype)) {
    const text = `dtype of ${at}: seen ${entry.dtype}, wanted ${[...FLOAT_DTYPES].join(", ")}`;
    problems.push({ code: "tensor_dtype", text });
  }
  return problems;
}

function describeMissing(missing: readonly WantedTensor[], unexpected: readonly TensorEntry[]): Problem[] {
  return missing.map(({ name, shape }, i) => {
    // Only listed problems are worth the search, which is long where all names differ.
    const similar = i < MAX_LISTED ? nearest(name, similarNames(unexpected, shape)) : undefined;
    const hint = similar === undefined ? "" : ` (similar: ${JSON.stringify(similar)})`;
    return { code: "tensor_missing", text: `missing: ${JSON.stringify(name)} ${formatShape(shape)}${hint}` };
  });
}

function similarNames(unexpected: readonly TensorEntry[], shape: readonly number[]): string[] {
  return unexpected
    .filter((entry) => formatShape(entry.shape) === formatShape(shape))
    .map(({ name }) => name);
}

function describeUnexpected({ name, shape, file }: TensorEntry): Problem {
  return {
    code: "tensor_unexpected",
    text: `unexpected: ${JSON.stringify(name)} ${formatShape(shape)} in ${file}`,
  };
}

function bindError(problems: readonly Problem[], folder: string, what: string): KandinskyError {
  const listed = problems.slice(0, MAX_LISTED).map(({ text }) => `\n  ${text}`);
  const rest = problems.length - listed.length;
  return new KandinskyError(problems[0]!.code, {
    what: `cannot load ${what}`,
    where: folder,
    seen: `tensors that do not fit (${problems.length}):${listed.join("")}${rest > 0 ? `\n  and ${rest} more` : ""}`,
    hint: "the files and the configuration belong to different models, or a file is incomplete",
  });
}
