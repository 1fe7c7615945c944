import { product } from "../base/mod.ts";
import {
  add,
  div,
  expand,
  groupMoments,
  mul,
  reduceSum,
  reshape,
  slice,
  sqrt,
  sub,
  type Value,
} from "../graph/mod.ts";
import { type Rule, sumFrom, sumTo } from "./rule.ts";

/** Of mean and variance of each group: 1/n, and 2 (x - mean) / n. */
export const groupMomentsRule: Rule<"groupMoments"> = ({ gradient, inputs: [x], node, result }) => {
  const { groups } = node.attributes;
  const size = product(x!.shape.slice(1)) / groups;
  const grouped = reshape(x!, [x!.shape[0]!, groups, size]);
  return [
    () => {
      const centred = sub(grouped, slice(result, 2, 0, 1));
      const byVariance = mul(centred, mul(slice(gradient, 2, 1, 2), 2 / size));
      return reshape(add(byVariance, mul(slice(gradient, 2, 0, 1), 1 / size)), x!.shape);
    },
  ];
};

/**
 * The normalised map is computed again from x and its moments. All sums over the map are those that scale and
 * shift need anyway, where these are numbers a channel: the groups' sums follow from them.
 */
export const groupNormRule: Rule<"groupNorm"> = ({ gradient, inputs, node }) => {
  const [x, scale, shift, given] = inputs as [Value, Value, Value, Value?];
  const { groups, epsilon } = node.attributes;
  const [batch, channels] = x.shape as [number, number];
  const moments = given ?? groupMoments(x, groups);
  const inverse = inverseRoot(slice(moments, 2, 1, 2), epsilon);
  const perMap = (perGroup: Value) => perChannel(perGroup, channels);
  const deviation = perMap(inverse);
  const normal = mul(sub(x, perMap(slice(moments, 2, 0, 1))), deviation);
  const [scaled, shifted] = [sumCells(mul(gradient, normal), scale), sumCells(gradient, scale)];
  const byNormal = mul(gradient, spread(scale, x.shape));
  /** Of the gradient by the normalised map, and of it times the normalised map: their sums over each group. */
  const groupSum = (cells: Value) =>
    reshape(sumFrom(reshape(mul(cells, scale), [batch, groups, product(cells.shape) / batch / groups]), 2), [
      batch,
      groups,
      1,
    ]);
  const size = product(x.shape.slice(1)) / groups;
  return [
    () => {
      const direct = mul(byNormal, deviation);
      if (given) return direct;
      const mean = perMap(mul(mul(groupSum(shifted), inverse), 1 / size));
      const slope = perMap(mul(mul(groupSum(scaled), inverse), 1 / size));
      return sub(sub(direct, mul(normal, slope)), mean);
    },
    () => sumTo(scaled, scale.shape),
    () => sumTo(shifted, shift.shape),
    given &&
      (() => {
        const byMean = mul(mul(groupSum(shifted), inverse), -1);
        const byVariance = mul(mul(groupSum(scaled), mul(inverse, inverse)), -0.5);
        return pair(byMean, byVariance);
      }),
  ];
};

/** Two values [B,groups,1] as [B,groups,2]. */
function pair(a: Value, b: Value): Value {
  return a.builder.apply("concat", [a, b], { axis: 2 });
}

function inverseRoot(variance: Value, epsilon: number): Value {
  return div(variance.builder.constant(oneTensor), sqrt(add(variance, epsilon)));
}

const oneTensor = { dtype: "float32", shape: [], data: Float32Array.of(1) } as const;

/** A number a group [B,groups,1] as a number a channel [B,C,1,1]. */
function perChannel(x: Value, channels: number): Value {
  const [batch, groups] = x.shape as [number, number];
  return reshape(expand(x, [batch, groups, channels / groups]), [batch, channels, 1, 1]);
}

/** A scale or shift [B or 1,C,h,w], each cell repeated to the map's size unless it is one cell. */
function spread(x: Value, [, , height, width]: readonly number[]): Value {
  const [rows, channels, h, w] = x.shape as [number, number, number, number];
  if (h * w === 1) return x;
  const apart = reshape(x, [rows * channels, h, 1, w, 1]);
  const cells = expand(apart, [rows * channels, h, height! / h, w, width! / w]);
  return reshape(cells, [rows, channels, height!, width!]);
}

/** A map [B,C,H,W] summed over the cells of a scale [B or 1,C,h,w]: [B,C,h,w]. */
function sumCells(x: Value, scale: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const [, , h, w] = scale.shape as [number, number, number, number];
  if (h * w === 1) return reshape(sumFrom(x, 2), [batch, channels, 1, 1]);
  const cells = reshape(x, [batch * channels * h, height / h, w, width / w]);
  return reshape(reduceSum(reduceSum(cells, 3), 1), [batch, channels, h, w]);
}

export const layerNormRule: Rule<"layerNorm"> = ({ gradient, inputs: [x, weight, bias], node }) => {
  const centred = sub(x!, lastMean(x!));
  const inverse = inverseRoot(lastMean(mul(centred, centred)), node.attributes.epsilon);
  const normal = mul(centred, inverse);
  const byNormal = mul(gradient, weight!);
  return [
    () => {
      const slope = mul(normal, lastMean(mul(byNormal, normal)));
      return mul(sub(sub(byNormal, lastMean(byNormal)), slope), inverse);
    },
    () => sumTo(mul(gradient, normal), weight!.shape),
    () => sumTo(gradient, bias!.shape),
  ];
};

export const rmsNormRule: Rule<"rmsNorm"> = ({ gradient, inputs: [x, weight], node }) => {
  const inverse = inverseRoot(lastMean(mul(x!, x!)), node.attributes.epsilon);
  const normal = mul(x!, inverse);
  const byNormal = mul(gradient, weight!);
  return [
    () => mul(sub(byNormal, mul(normal, lastMean(mul(byNormal, normal)))), inverse),
    () => sumTo(mul(gradient, normal), weight!.shape),
  ];
};

/** The mean over the last axis, which stays as an axis of 1. */
function lastMean(x: Value): Value {
  const last = x.shape.length - 1;
  const sum = reshape(reduceSum(x, last), x.shape.with(last, 1));
  return mul(sum, 1 / x.shape[last]!);
}
