import {
  type ArrayOf,
  cast,
  type DType,
  numberToFloat16,
  type Tensor,
  tensor,
  widenBfloat16,
  widenFloat16,
} from "../tensor/mod.ts";

/** A value while a graph is interpreted: row-major float64 whatever the element type; int64 as numbers. */
export interface Values {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

type Widen = { readonly [D in DType]: (data: ArrayOf[D]) => Float64Array };

const copy = (data: ArrayLike<number>) => new Float64Array(data);

const WIDEN: Widen = {
  float64: (data) => data,
  float32: copy,
  float16: (bits) => {
    const data = new Float32Array(bits.length);
    widenFloat16(bits, data);
    return new Float64Array(data);
  },
  bfloat16: (bits) => {
    const data = new Float32Array(bits.length);
    widenBfloat16(bits, data);
    return new Float64Array(data);
  },
  int64: (data) => Float64Array.from(data, Number),
  int32: copy,
  int16: copy,
  int8: copy,
  uint8: copy,
  bool: copy,
};

/** Any tensor's values as float64; a float64 tensor is shared, not copied. */
export function widen<D extends DType>({ dtype, data }: Tensor<D>): Float64Array {
  return WIDEN[dtype](data);
}

/** The values as a tensor: floats round to nearest even, integers truncate. */
export function narrow<D extends DType>({ shape, data }: Values, dtype: D): Tensor<D> {
  // The two types that weights are packed in, without a call for each element.
  if (dtype === "float32") return { dtype, shape, data: new Float32Array(data) as ArrayOf[D] };
  if (dtype === "float16") {
    const bits = new Uint16Array(data.length);
    for (let i = 0; i < data.length; i++) bits[i] = numberToFloat16(data[i]!);
    return { dtype, shape, data: bits as ArrayOf[D] };
  }
  return cast(tensor("float64", shape, data), dtype);
}

/** The values that remain after a trip through `dtype`. */
export function round(x: Values, dtype: DType): Float64Array {
  return dtype === "float64" ? x.data : widen(narrow(x, dtype));
}
