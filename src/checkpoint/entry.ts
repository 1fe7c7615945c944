import type { StoredForm } from "../quant/mod.ts";
import type { DType } from "../tensor/mod.ts";

/** Where one tensor's values lie in a safetensors file: row-major, little-endian, without padding. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Absolute path of the file, links resolved. */
  readonly file: string;
  /** Byte offset of the first value in the file; any number, so not always a multiple of the item size. */
  readonly offset: number;
  readonly byteLength: number;
  /** Set where the values are stored rounded: offset and length are then those of the codes, `dtype` is what is read. */
  readonly quantized?: QuantizedEntry;
}

/** A rounded weight in a file. */
export interface QuantizedEntry {
  readonly form: StoredForm;
  /** U8 [rows, length * bits / 8]. */
  readonly codes: TensorEntry;
  /** F16 [rows, length / block]. */
  readonly scales: TensorEntry;
  /** U8 as `scales`; absent where the form is symmetric. */
  readonly zeros?: TensorEntry;
}

/** Element types by their names in safetensors files. */
export const DTYPE_OF: ReadonlyMap<string, DType> = new Map([
  ["F64", "float64"],
  ["F32", "float32"],
  ["F16", "float16"],
  ["BF16", "bfloat16"],
  ["I64", "int64"],
  ["I32", "int32"],
  ["I16", "int16"],
  ["I8", "int8"],
  ["U8", "uint8"],
  ["BOOL", "bool"],
]);

/** The name of an element type in safetensors files. */
export const NAME_OF = Object.fromEntries([...DTYPE_OF].map(([name, dtype]) => [dtype, name])) as Readonly<
  Record<DType, string>
>;

/** Types whose values can be widened or narrowed to float32. */
export const FLOAT_DTYPES: ReadonlySet<DType> = new Set(["float64", "float32", "float16", "bfloat16"]);
