import { add, cast, cos, div, mul, type Node, sigmoid, sign, sin, sub, type Value } from "../graph/mod.ts";
import { type Place, type Rule, sumTo } from "./rule.ts";

type Binary = "add" | "sub" | "mul" | "div" | "maximum";

/** A rule of two operands that broadcast: the derivatives by each, before the sum over repeated axes. */
function binary<K extends Binary>(
  byFirst: (place: Place<K>) => Value,
  bySecond: (place: Place<K>) => Value,
): Rule<K> {
  return (place) => {
    const [a, b] = place.inputs as [Value, Value];
    return [() => sumTo(byFirst(place), a.shape), () => sumTo(bySecond(place), b.shape)];
  };
}

function unary<K extends Node["op"]>(by: (place: Place<K>, x: Value) => Value): Rule<K> {
  return (place) => [() => by(place, place.inputs[0]!)];
}

export const addRule = binary<"add">(
  ({ gradient }) => gradient,
  ({ gradient }) => gradient,
);
export const subRule = binary<"sub">(
  ({ gradient }) => gradient,
  ({ gradient }) => mul(gradient, -1),
);
const productRule = binary<"mul">(
  ({ gradient, inputs: [, b] }) => mul(gradient, b!),
  ({ gradient, inputs: [a] }) => mul(gradient, a!),
);
/** Of a square the derivative is one product, not the sum of two. */
export const mulRule: Rule<"mul"> = (place) => {
  const [a, b] = place.inputs as [Value, Value];
  return a.id === b.id ? [() => mul(mul(place.gradient, 2), a)] : productRule(place);
};
export const divRule = binary<"div">(
  ({ gradient, inputs: [, b] }) => div(gradient, b!),
  ({ gradient, inputs: [, b], result }) => mul(mul(gradient, -1), div(result, b!)),
);

/** Where the operands are equal, each gets half. */
export const maximumRule = binary<"maximum">(
  ({ gradient, inputs: [a, b] }) => mul(gradient, firstIsLarger(a!, b!)),
  ({ gradient, inputs: [a, b] }) => mul(gradient, firstIsLarger(b!, a!)),
);

/** 1, 0 or a half. */
function firstIsLarger(a: Value, b: Value): Value {
  return add(mul(sign(sub(a, b)), 0.5), 0.5);
}

export const sinRule = unary<"sin">(({ gradient }, x) => mul(gradient, cos(x)));
export const cosRule = unary<"cos">(({ gradient }, x) => mul(mul(gradient, -1), sin(x)));
export const absRule = unary<"abs">(({ gradient }, x) => mul(gradient, sign(x)));
export const sqrtRule = unary<"sqrt">(({ gradient, result }) => div(mul(gradient, 0.5), result));
export const sigmoidRule = unary<"sigmoid">(({ gradient, result }) =>
  mul(gradient, mul(result, sub(one(result), result))),
);
/** s + y (1 - s) of s = sigmoid(x), y = x s. */
export const siluRule = unary<"silu">(({ gradient, result }, x) => {
  const s = sigmoid(x);
  return mul(gradient, add(s, mul(result, sub(one(s), s))));
});
export const castRule = unary<"cast">(({ gradient }, x) => cast(gradient, x.dtype));

function one(like: Value): Value {
  return like.builder.constant({ dtype: "float32", shape: [], data: Float32Array.of(1) });
}
