import { KandinskyError, product } from "../base/mod.ts";
import { ARRAY_OF, type ArrayOf, type DType } from "./dtype.ts";

/** Row-major values with a shape. Never mutated after it was made: make a new one instead. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: ArrayOf[D];
}

/** A tensor over existing values; throws `tensor_shape` where their number differs from the shape's. */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: ArrayOf[D]): Tensor<D> {
  if (data.length !== product(shape)) {
    throw new KandinskyError("tensor_shape", {
      what: "cannot make a tensor",
      seen: `${data.length} values`,
      wanted: `${product(shape)} for [${shape.join(",")}]`,
    });
  }
  return { dtype, shape, data };
}

export function zeros<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
  return { dtype, shape, data: new ARRAY_OF[dtype](product(shape)) };
}

/** A float32 tensor from numbers. */
export function float32(shape: readonly number[], values: ArrayLike<number>): Tensor<"float32"> {
  return tensor("float32", shape, values instanceof Float32Array ? values : Float32Array.from(values));
}

/** Distance between neighbours along each axis, in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** Row `index` of the first axis, kept as an axis of length 1; shares the values. */
export function row<D extends DType>(t: Tensor<D>, index: number): Tensor<D> {
  const size = product(t.shape.slice(1));
  const data = t.data.subarray(index * size, (index + 1) * size) as ArrayOf[D];
  return { dtype: t.dtype, shape: [1, ...t.shape.slice(1)], data };
}

/** Joins tensors of equal type and equal trailing shape along the first axis. */
export function concatRows<D extends DType>(parts: readonly Tensor<D>[]): Tensor<D> {
  const first = parts[0];
  if (first === undefined) throw new KandinskyError("tensor_shape", { what: "cannot join no tensors" });
  const tail = first.shape.slice(1);
  const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
  const data = new ARRAY_OF[first.dtype](rows * product(tail));
  let at = 0;
  for (const part of parts) {
    if (part.shape.slice(1).join() !== tail.join()) {
      throw new KandinskyError("tensor_shape", {
        what: "cannot join tensors",
        seen: `[${part.shape.join(",")}]`,
        wanted: `[*,${tail.join(",")}]`,
      });
    }
    (data as Float32Array).set(part.data as Float32Array, at);
    at += part.data.length;
  }
  return { dtype: first.dtype, shape: [rows, ...tail], data };
}

export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(",")}]`;
}
