import { ARRAY_OF, type DType } from "./dtype.ts";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "./half.ts";
import type { Tensor } from "./tensor.ts";

let halfTable: Float32Array | undefined;

/** All 65,536 binary16 values as float32: a look-up is several times faster than the arithmetic. */
function float16Table(): Float32Array {
  halfTable ??= Float32Array.from({ length: 65536 }, (_, bits) => float16ToNumber(bits));
  return halfTable;
}

/** Widens binary16 bits into `target` at `at`; `target` must have room. */
export function widenFloat16(bits: Uint16Array, target: Float32Array, at = 0): void {
  const table = float16Table();
  for (let i = 0; i < bits.length; i++) target[at + i] = table[bits[i]!]!;
}

/** Widens bfloat16 bits into `target` at `at`; `target` must have room. */
export function widenBfloat16(bits: Uint16Array, target: Float32Array, at = 0): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < bits.length; i++) words[at + i] = bits[i]! << 16;
}

/** The same values as another element type; floats narrow to nearest even, integers truncate. */
export function cast<D extends DType>(t: Tensor, dtype: D): Tensor<D> {
  if ((t.dtype as DType) === dtype) return t as Tensor<D>;
  const data = new ARRAY_OF[dtype](t.data.length);
  const widen = dtype === "float32" ? WIDEN[t.dtype] : undefined;
  if (widen !== undefined) {
    widen(t.data as Uint16Array, data as unknown as Float32Array);
    return { dtype, shape: t.shape, data };
  }
  const read = READ[t.dtype];
  const write = WRITE[dtype];
  for (let i = 0; i < t.data.length; i++) write(data as never, i, read(t.data as never, i));
  return { dtype, shape: t.shape, data };
}

/** Conversions that whole models go through. */
const WIDEN: { readonly [D in DType]?: (bits: Uint16Array, target: Float32Array) => void } = {
  float16: widenFloat16,
  bfloat16: widenBfloat16,
};

const READ: { [D in DType]: (data: Tensor<D>["data"], i: number) => number } = {
  float64: (data, i) => data[i]!,
  float32: (data, i) => data[i]!,
  float16: (data, i) => float16ToNumber(data[i]!),
  bfloat16: (data, i) => bfloat16ToNumber(data[i]!),
  int64: (data, i) => Number(data[i]!),
  int32: (data, i) => data[i]!,
  int16: (data, i) => data[i]!,
  int8: (data, i) => data[i]!,
  uint8: (data, i) => data[i]!,
  bool: (data, i) => data[i]!,
};

const WRITE: { [D in DType]: (data: Tensor<D>["data"], i: number, value: number) => void } = {
  float64: (data, i, v) => {
    data[i] = v;
  },
  float32: (data, i, v) => {
    data[i] = v;
  },
  float16: (data, i, v) => {
    data[i] = numberToFloat16(v);
  },
  bfloat16: (data, i, v) => {
    data[i] = numberToBfloat16(v);
  },
  int64: (data, i, v) => {
    data[i] = BigInt(Math.trunc(v));
  },
  int32: (data, i, v) => {
    data[i] = v;
  },
  int16: (data, i, v) => {
    data[i] = v;
  },
  int8: (data, i, v) => {
    data[i] = v;
  },
  uint8: (data, i, v) => {
    data[i] = v;
  },
  bool: (data, i, v) => {
    data[i] = v === 0 ? 0 : 1;
  },
};
