import { type ErrorCode, KandinskyError } from "../base/mod.ts";
import type { TensorEntry } from "../checkpoint/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import { type DType, formatShape } from "../tensor/mod.ts";
import type { LoraFile, LoraModule } from "./lora-file.node.ts";
import { targetOf } from "./names.ts";

/** One changed weight: W + scale * up * down, with down [r,in...] and up [out,r]. */
export interface LoraLayer {
  /** The weight by its checkpoint key. */
  readonly target: string;
  readonly down: TensorEntry;
  readonly up: TensorEntry;
  readonly rank: number;
  /** alpha / rank, or alpha / sqrt(rank). */
  readonly scale: number;
}

/** Problems named one by one in a message; the rest is counted. */
const MAX_LISTED = 10;
const FLOATS: ReadonlySet<DType> = new Set(["float64", "float32", "float16", "bfloat16"]);

interface Problem {
  readonly code: ErrorCode;
  readonly text: string;
}

/**
 * Holds a LoRA against the weights that a model lets be changed, whatever naming it has. Throws one error for all
 * that does not fit: tensors and layers that the model does not know (`tensor_unexpected`), halves without the
 * other (`tensor_missing`), shapes and ranks (`tensor_shape`), types (`tensor_dtype`), with the code of the first.
 */
export function matchLora(lora: LoraFile, weights: readonly ParameterShape[]): LoraLayer[] {
  const shapes = new Map(weights.map(({ name, shape }) => [name, shape]));
  const target = targetOf(shapes.keys());
  const problems: Problem[] = lora.strangers.map(({ name }) =>
    unexpected(`${quote(name)} belongs to no LoRA of a U-Net that is known here`),
  );
  const layers: LoraLayer[] = [];
  for (const module of lora.modules) {
    const weight = target(module);
    if (weight === undefined) {
      problems.push(...module.names.map((name) => unexpected(`${quote(name)}: the model has no such layer`)));
      continue;
    }
    const twice = layers.some((layer) => layer.target === weight);
    const found = twice
      ? [unexpected(`${module.names.map(quote).join(", ")}: ${quote(weight)} is changed twice`)]
      : misfits(module, shapes.get(weight)!);
    problems.push(...found);
    if (found.length > 0) continue;
    const { down, up } = module as Required<LoraModule>;
    const rank = down.shape[0]!;
    const scale = (module.alpha ?? rank) / (lora.rankStabilized ? Math.sqrt(rank) : rank);
    layers.push({ target: weight, down, up, rank, scale });
  }
  if (problems.length > 0) throw mismatch(lora, problems);
  if (layers.length === 0)
    throw mismatch(lora, [{ code: "tensor_missing", text: "the file has no tensors" }]);
  return layers;
}

/** What is wrong with one layer; nothing where it fits a weight [out,in...]. */
function misfits({ down, up, names }: LoraModule, [out, ...inner]: readonly number[]): Problem[] {
  if (down === undefined || up === undefined) {
    const half = down === undefined ? "lora_A (down)" : "lora_B (up)";
    return [
      { code: "tensor_missing", text: `${names.map(quote).join(", ")}: its other half, ${half}, is missing` },
    ];
  }
  const problems: Problem[] = [down, up]
    .filter(({ dtype }) => !FLOATS.has(dtype))
    .map(({ name, dtype }) => ({ code: "tensor_dtype", text: `${quote(name)} is of type ${dtype}` }));
  const rank = down.shape[0] ?? 0;
  const shape = (entry: TensorEntry, wanted: readonly number[]) => {
    if (sameShape(entry.shape, wanted)) return;
    const text = `${quote(entry.name)}: seen ${formatShape(entry.shape)}, wanted ${formatShape(wanted)}`;
    problems.push({ code: "tensor_shape", text });
  };
  if (rank === 0) problems.push({ code: "tensor_shape", text: `${quote(down.name)}: seen a rank of 0` });
  shape(down, [rank, ...inner]);
  shape(up, [out!, rank]);
  return problems;
}

/** Axes of one at the end count for nothing: a linear layer and a convolution of one cell are the same. */
function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return Array.from({ length: Math.max(a.length, b.length) }).every((_, i) => (a[i] ?? 1) === (b[i] ?? 1));
}

function unexpected(text: string): Problem {
  return { code: "tensor_unexpected", text };
}

function mismatch(lora: LoraFile, problems: readonly Problem[]): KandinskyError {
  const listed = problems.slice(0, MAX_LISTED).map(({ text }) => `\n  ${text}`);
  const rest = problems.length - listed.length;
  return new KandinskyError(problems[0]!.code, {
    what: "the LoRA does not fit this model",
    where: lora.file,
    seen: `${problems.length} ${problems.length === 1 ? "mismatch" : "mismatches"}:${listed.join("")}${rest > 0 ? `\n  and ${rest} more` : ""}`,
    hint: "it was made for another model, or the file is incomplete",
  });
}

function quote(name: string): string {
  return JSON.stringify(name);
}
