import { type DType, float32 } from "../tensor/mod.ts";
import type { Value } from "./builder.ts";
import type { OpAttributes, Padding } from "./ops.ts";

/** A number as an operand: a constant of no axes that broadcasts. */
type Operand = Value | number;

export function add(a: Value, b: Operand): Value {
  return a.builder.apply("add", [a, operand(a, b)], {});
}

export function sub(a: Value, b: Operand): Value {
  return a.builder.apply("sub", [a, operand(a, b)], {});
}

export function mul(a: Value, b: Operand): Value {
  return a.builder.apply("mul", [a, operand(a, b)], {});
}

export function div(a: Value, b: Operand): Value {
  return a.builder.apply("div", [a, operand(a, b)], {});
}

export function sin(x: Value): Value {
  return x.builder.apply("sin", [x], {});
}

export function cos(x: Value): Value {
  return x.builder.apply("cos", [x], {});
}

export function silu(x: Value): Value {
  return x.builder.apply("silu", [x], {});
}

export function sigmoid(x: Value): Value {
  return x.builder.apply("sigmoid", [x], {});
}

export function sqrt(x: Value): Value {
  return x.builder.apply("sqrt", [x], {});
}

export function abs(x: Value): Value {
  return x.builder.apply("abs", [x], {});
}

export function sign(x: Value): Value {
  return x.builder.apply("sign", [x], {});
}

export function maximum(a: Value, b: Operand): Value {
  return a.builder.apply("maximum", [a, operand(a, b)], {});
}

export function detach(x: Value): Value {
  return x.builder.apply("detach", [x], {});
}

export function softmax(x: Value): Value {
  return x.builder.apply("softmax", [x], {});
}

export function logSoftmax(x: Value): Value {
  return x.builder.apply("logSoftmax", [x], {});
}

export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : x.builder.apply("cast", [x], { dtype });
}

export function matmul(
  a: Value,
  b: Value,
  { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
): Value {
  return a.builder.apply("matmul", [a, b], { ...(transposeA ? { transposeA } : {}), transposeB });
}

export function conv2d(
  x: Value,
  weight: Value,
  bias?: Value,
  { stride = 1, padding = [0, 0, 0, 0] as Padding } = {},
): Value {
  return x.builder.apply("conv2d", bias ? [x, weight, bias] : [x, weight], { stride, padding });
}

export function convTranspose2d(x: Value, weight: Value, bias?: Value): Value {
  return x.builder.apply("convTranspose2d", bias ? [x, weight, bias] : [x, weight], {});
}

export function conv2dInputGradient(
  gradient: Value,
  weight: Value,
  attributes: OpAttributes["conv2dInputGradient"],
): Value {
  return gradient.builder.apply("conv2dInputGradient", [gradient, weight], attributes);
}

export function conv2dWeightGradient(
  x: Value,
  gradient: Value,
  attributes: OpAttributes["conv2dWeightGradient"],
): Value {
  return x.builder.apply("conv2dWeightGradient", [x, gradient], attributes);
}

export function groupMoments(x: Value, groups: number): Value {
  return x.builder.apply("groupMoments", [x], { groups });
}

export function groupNorm(
  x: Value,
  scale: Value,
  shift: Value,
  attributes: OpAttributes["groupNorm"],
  moments?: Value,
): Value {
  const operands = moments ? [x, scale, shift, moments] : [x, scale, shift];
  return x.builder.apply("groupNorm", operands, attributes);
}

export function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  return x.builder.apply("layerNorm", [x, weight, bias], { epsilon });
}

export function rmsNorm(x: Value, weight: Value, epsilon: number): Value {
  return x.builder.apply("rmsNorm", [x, weight], { epsilon });
}

export function attention(
  q: Value,
  k: Value,
  v: Value,
  bias: Value | undefined,
  attributes: OpAttributes["attention"],
): Value {
  return q.builder.apply("attention", bias ? [q, k, v, bias] : [q, k, v], attributes);
}

export function gather(table: Value, indices: Value): Value {
  return table.builder.apply("gather", [table, indices], {});
}

export function scatterAdd(values: Value, indices: Value, rows: number): Value {
  return values.builder.apply("scatterAdd", [values, indices], { rows });
}

export function argmin(x: Value): Value {
  return x.builder.apply("argmin", [x], {});
}

export function reduceSum(x: Value, axis: number): Value {
  return x.builder.apply("reduceSum", [x], { axis });
}

export function expand(x: Value, shape: readonly number[]): Value {
  return shape.join() === x.shape.join() ? x : x.builder.apply("expand", [x], { shape });
}

export function reshape(x: Value, shape: readonly number[]): Value {
  return shape.join() === x.shape.join() ? x : x.builder.apply("reshape", [x], { shape });
}

export function transpose(x: Value, order: readonly number[]): Value {
  if (order.every((axis, i) => axis === i)) return x;
  return x.builder.apply("transpose", [x], { order });
}

export function slice(x: Value, axis: number, start: number, end: number, step = 1): Value {
  if (start === 0 && end === x.shape[axis] && step === 1) return x;
  return x.builder.apply("slice", [x], { axis, start, end, step });
}

export function place(x: Value, attributes: OpAttributes["place"]): Value {
  const { axis, start, size } = attributes;
  return start === 0 && size === x.shape[axis] ? x : x.builder.apply("place", [x], attributes);
}

export function concat(parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : parts[0]!.builder.apply("concat", parts, { axis });
}

export function resizeNearest(x: Value, factor: number): Value {
  return factor === 1 ? x : x.builder.apply("resizeNearest", [x], { factor });
}

function operand(like: Value, value: Operand): Value {
  if (typeof value !== "number") return value;
  return like.builder.constant(float32([], [value]));
}
