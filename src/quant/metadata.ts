import { KandinskyError } from "../base/mod.ts";
import { hasOrder, ROW_ORDERS, type RowOrder } from "./order.ts";
import type { QuantScheme } from "./scheme.ts";

/** How one tensor of a file is stored in rounded form. */
export interface StoredForm extends QuantScheme {
  readonly order: RowOrder;
  /** Of the weight that it stands for. */
  readonly shape: readonly number[];
}

/** The key of a safetensors file's metadata under which the forms lie as JSON. */
export const QUANTIZATION_KEY = "kandinsky_quantization";

/** What is written and read here. */
const VERSION = 1;

/**
 * A rounded weight `w` is three tensors: `w` with its codes, U8 [rows, length * bits / 8], codes of 4 bits in pairs with the
 * first in the low half; `w.scales`, F16 [rows, length / block]; and `w.zeros`, U8 of the same shape, unless symmetric.
 */
export const SCALES_SUFFIX = ".scales";
export const ZEROS_SUFFIX = ".zeros";

/** The metadata that describes rounded tensors. */
export function quantizationMetadata(forms: ReadonlyMap<string, StoredForm>): Record<string, string> {
  const tensors = Object.fromEntries(
    [...forms].map(([name, { bits, block, symmetric, order, shape }]) => [
      name,
      { bits, block, symmetric, order, shape },
    ]),
  );
  return { [QUANTIZATION_KEY]: JSON.stringify({ version: VERSION, tensors }) };
}

/**
 * The rounded tensors of a file by name; none where the metadata says nothing of them. `where` names the file in
 * messages. Throws `quantization_unknown` for a version or a form that is not known here, `file_corrupt` for metadata
 * that is not as written.
 */
export function parseQuantization(
  metadata: Readonly<Record<string, string>>,
  where: string,
): ReadonlyMap<string, StoredForm> {
  const text = metadata[QUANTIZATION_KEY];
  if (text === undefined) return new Map();
  const { version, tensors } = parseObject(text, where);
  if (version !== VERSION) {
    throw new KandinskyError("quantization_unknown", {
      what: "these weights are quantised in a way that this program does not know",
      where,
      seen: `version ${JSON.stringify(version)}`,
      wanted: `version ${VERSION}`,
      hint: "update kandinsky, or quantise the model again with `kandinsky quantize`",
    });
  }
  if (!isObject(tensors)) throw corrupt(where, `tensors ${JSON.stringify(tensors)}`);
  return new Map(Object.entries(tensors).map(([name, form]) => [name, parseForm(form, name, where)]));
}

function parseObject(text: string, where: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return parsed;
  } catch (cause) {
    throw corrupt(where, cause instanceof Error ? cause.message : String(cause));
  }
  throw corrupt(where, text.slice(0, 80));
}

function parseForm(form: unknown, name: string, where: string): StoredForm {
  if (!isObject(form)) throw corrupt(where, `tensor "${name}": ${JSON.stringify(form)}`);
  const { bits, block, symmetric, order, shape } = form;
  const isKnown =
    (bits === 4 || bits === 8) &&
    (block === 32 || block === 64 || block === 128) &&
    typeof symmetric === "boolean" &&
    ROW_ORDERS.includes(order as RowOrder);
  if (!isKnown) {
    throw new KandinskyError("quantization_unknown", {
      what: "this tensor is quantised in a way that this program does not know",
      where: `${where}, tensor "${name}"`,
      seen: JSON.stringify({ bits, block, symmetric, order }),
      wanted: `4 or 8 bits in blocks of 32, 64 or 128, order ${ROW_ORDERS.join(", ")}`,
      hint: "update kandinsky, or quantise the model again with `kandinsky quantize`",
    });
  }
  const isShape = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size > 0);
  if (!isShape || !hasOrder(order as RowOrder, shape)) {
    throw corrupt(where, `tensor "${name}" of shape ${JSON.stringify(shape)} in order ${order}`);
  }
  return { bits, block, symmetric, order: order as RowOrder, shape };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function corrupt(where: string, seen: string): KandinskyError {
  return new KandinskyError("file_corrupt", {
    what: "cannot read how the weights are quantised",
    where: `${where}, metadata ${QUANTIZATION_KEY}`,
    seen,
    hint: "quantise the model again with `kandinsky quantize`",
  });
}
