import { KandinskyError } from "../base/mod.ts";
import { gridOf, parseQuantization, SCALES_SUFFIX, type StoredForm, ZEROS_SUFFIX } from "../quant/mod.ts";
import { type DType, formatShape } from "../tensor/mod.ts";
import type { TensorEntry } from "./entry.ts";

/**
 * The tensors of a file with each rounded weight as one entry, which has the weight's shape and is read as float32.
 * Throws `quantization_unknown`, and `file_corrupt` where codes, scales or zero points are not what the metadata says.
 */
export function joinQuantized(
  entries: ReadonlyMap<string, TensorEntry>,
  metadata: Readonly<Record<string, string>>,
  where: string,
): ReadonlyMap<string, TensorEntry> {
  const forms = parseQuantization(metadata, where);
  if (forms.size === 0) return entries;
  const joined = new Map(entries);
  for (const [name, form] of forms) {
    const find = (suffix: string, dtype: DType, columns: number) => {
      joined.delete(`${name}${suffix}`);
      return stored(entries, `${name}${suffix}`, dtype, [rows, columns], where);
    };
    const { groups: rows, length } = gridOf(form.order, form.shape);
    const codes = find("", "uint8", (length * form.bits) / 8);
    const scales = find(SCALES_SUFFIX, "float16", length / form.block);
    const zeros = form.symmetric ? {} : { zeros: find(ZEROS_SUFFIX, "uint8", length / form.block) };
    joined.set(name, entryOf(name, form, codes, { scales, ...zeros }));
  }
  return joined;
}

function entryOf(
  name: string,
  form: StoredForm,
  codes: TensorEntry,
  beside: { readonly scales: TensorEntry; readonly zeros?: TensorEntry },
): TensorEntry {
  return { ...codes, name, dtype: "float32", shape: form.shape, quantized: { form, codes, ...beside } };
}

function stored(
  entries: ReadonlyMap<string, TensorEntry>,
  name: string,
  dtype: DType,
  shape: readonly number[],
  where: string,
): TensorEntry {
  const entry = entries.get(name);
  if (entry?.dtype === dtype && entry.shape.join() === shape.join()) return entry;
  throw new KandinskyError("file_corrupt", {
    what: "the file's quantised weights are not what its metadata says",
    where: `${where}, tensor "${name}"`,
    seen: entry === undefined ? "no such tensor" : `${entry.dtype}${formatShape(entry.shape)}`,
    wanted: `${dtype}${formatShape(shape)}`,
    hint: "download the file again, or quantise the model again with `kandinsky quantize`",
  });
}

/** Bytes of a tensor as it is stored, with all that belongs to it. */
export function storedBytes({ byteLength, quantized }: TensorEntry): number {
  const { scales, zeros } = quantized ?? {};
  return byteLength + (scales?.byteLength ?? 0) + (zeros?.byteLength ?? 0);
}
