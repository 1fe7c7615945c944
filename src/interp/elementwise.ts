import { product } from "../base/mod.ts";
import { broadcastStrides, copyView } from "./strided.ts";
import type { Values } from "./values.ts";

/** A kernel of two operands that broadcast to the node's shape. */
export function binary(f: (a: number, b: number) => number) {
  return ({ shape }: { readonly shape: readonly number[] }, [a, b]: readonly Values[]): Float64Array => {
    const left = expand(a!, shape);
    const right = expand(b!, shape);
    const [stepA, stepB] = [left.length === 1 ? 0 : 1, right.length === 1 ? 0 : 1];
    const out = new Float64Array(product(shape));
    for (let i = 0; i < out.length; i++) out[i] = f(left[i * stepA]!, right[i * stepB]!);
    return out;
  };
}

/** A kernel of one operand. */
export function unary(f: (x: number) => number) {
  return (_: unknown, [x]: readonly Values[]): Float64Array => {
    const out = new Float64Array(x!.data.length);
    for (let i = 0; i < out.length; i++) out[i] = f(x!.data[i]!);
    return out;
  };
}

export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** The operand's values in the result's shape; a single value stays single. */
function expand({ shape, data }: Values, target: readonly number[]): Float64Array {
  return data.length === 1 || same(shape, target)
    ? data
    : copyView(data, 0, target, broadcastStrides(shape, target));
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}
