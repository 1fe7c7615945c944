import { ARRAY_OF, type DType } from "./dtype.ts";
import { stridesOf, type Tensor } from "./tensor.ts";

/** The same values with axes in another order: axis i of the result is axis `order[i]` of `t`. */
export function transposed<D extends DType>(t: Tensor<D>, order: readonly number[]): Tensor<D> {
  const strides = stridesOf(t.shape);
  const axes = joinedAxes(order.map((axis) => ({ size: t.shape[axis]!, stride: strides[axis]! })));
  const data = new ARRAY_OF[t.dtype](t.data.length);
  // Any of the array types is copied the same way; the loop is compiled for the one it sees.
  copyAxes(t.data as Float32Array, data as unknown as Float32Array, axes);
  return { dtype: t.dtype, shape: order.map((axis) => t.shape[axis]!), data };
}

interface Axis {
  readonly size: number;
  readonly stride: number;
}

/** Neighbouring axes that one stride walks through become one; axes of size 1 go away. */
function joinedAxes(axes: readonly Axis[]): Axis[] {
  const joined: Axis[] = [];
  for (const axis of axes) {
    const last = joined.at(-1);
    if (axis.size === 1) continue;
    if (last !== undefined && last.stride === axis.stride * axis.size) {
      joined[joined.length - 1] = { size: last.size * axis.size, stride: axis.stride };
    } else joined.push(axis);
  }
  return joined;
}

/** Walks the two innermost axes in a plain loop, and the outer ones by counting. */
function copyAxes(from: Float32Array, to: Float32Array, axes: readonly Axis[]): void {
  const inner = axes.at(-1) ?? { size: 1, stride: 0 };
  const middle = axes.at(-2) ?? { size: 1, stride: 0 };
  const outer = axes.slice(0, -2);
  const counters = new Array<number>(outer.length).fill(0);
  let start = 0;
  for (let at = 0; at < to.length; ) {
    for (let j = 0, row = start; j < middle.size; j++, row += middle.stride) {
      for (let i = 0, source = row; i < inner.size; i++, source += inner.stride) to[at++] = from[source]!;
    }
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      const { size, stride } = outer[axis]!;
      counters[axis]!++;
      start += stride;
      if (counters[axis]! < size) break;
      counters[axis] = 0;
      start -= stride * size;
    }
  }
}
