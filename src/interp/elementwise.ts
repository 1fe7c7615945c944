import { product } from "../base/mod.ts";
import { stridesOf } from "../tensor/mod.ts";
import { broadcastStrides } from "./strided.ts";
import type { Values } from "./values.ts";

type Combine = (a: number, b: number) => number;

/** One operand as a walk sees it: its values, and the distance between neighbours along each axis. */
interface Strided {
  readonly data: Float64Array;
  readonly strides: readonly number[];
}

/** A kernel of two operands that broadcast to the node's shape. */
export function binary(f: Combine) {
  return (node: { readonly shape: readonly number[] }, operands: readonly Values[]): Float64Array => {
    const out = new Float64Array(product(node.shape));
    // Most operands need no walk over axes: they have the result's shape or are one number.
    const flat = operands.every(({ data }) => data.length === 1 || data.length === out.length);
    const shape = flat ? [out.length] : node.shape;
    const [a, b] = operands.map((operand) => ({
      data: operand.data,
      strides: broadcastStrides(flat ? [operand.data.length] : operand.shape, shape),
    }));
    const steps = stridesOf(shape);
    const last = shape.length - 1;
    const walk = (axis: number, atA: number, atB: number, to: number): void => {
      if (axis === last) {
        combineRow(f, a!, atA, b!, atB, out, to, shape[last]!);
        return;
      }
      for (let i = 0; i < shape[axis]!; i++) {
        walk(axis + 1, atA + i * a!.strides[axis]!, atB + i * b!.strides[axis]!, to + i * steps[axis]!);
      }
    };
    walk(0, 0, 0, 0);
    return out;
  };
}

function combineRow(
  f: Combine,
  a: Strided,
  atA: number,
  b: Strided,
  atB: number,
  out: Float64Array,
  to: number,
  size: number,
): void {
  const [stepA, stepB] = [a.strides.at(-1)!, b.strides.at(-1)!];
  const [x, y] = [a.data, b.data];
  for (let i = 0; i < size; i++) out[to + i] = f(x[atA + i * stepA]!, y[atB + i * stepB]!);
}

/** A kernel of one operand. */
export function unary(f: (x: number) => number) {
  return (_: unknown, [x]: readonly Values[]): Float64Array => {
    const out = new Float64Array(x!.data.length);
    for (let i = 0; i < out.length; i++) out[i] = f(x!.data[i]!);
    return out;
  };
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}
