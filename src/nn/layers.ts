import {
  add,
  conv2d,
  convTranspose2d,
  div,
  groupNorm,
  layerNorm,
  matmul,
  mul,
  type Padding,
  reduceSum,
  reshape,
  rmsNorm,
  sqrt,
  type Value,
} from "../graph/mod.ts";
import type { Scope } from "./scope.ts";

/** x [..., in] times weight [out, in] transposed, plus bias [out] unless `bias` is false. */
export function linear(s: Scope, x: Value, out: number, { bias = true } = {}): Value {
  const y = matmul(x, s.parameter("weight", [out, lastOf(x)]), { transposeB: true });
  return bias ? add(y, s.parameter("bias", [out])) : y;
}

/** Convolution of a map [B,C,H,W], weight [out,C,kernel,kernel]. */
export function conv(
  s: Scope,
  x: Value,
  out: number,
  kernel: number,
  { stride = 1, padding = samePadding(kernel), bias = true } = {},
): Value {
  const weight = s.parameter("weight", [out, channelsOf(x), kernel, kernel]);
  return conv2d(x, weight, bias ? s.parameter("bias", [out]) : undefined, { stride, padding });
}

/** A linear layer on the channels of a map: weight [out,C] as stored by a linear layer, optional bias. */
export function channelLinear(s: Scope, x: Value, out: number, { bias = true } = {}): Value {
  const weight = reshape(s.parameter("weight", [out, channelsOf(x)]), [out, channelsOf(x), 1, 1]);
  return conv2d(x, weight, bias ? s.parameter("bias", [out]) : undefined);
}

/** Doubles a map: transposed 2x2 convolution with stride 2, channels kept. */
export function doubleMap(s: Scope, x: Value): Value {
  const channels = channelsOf(x);
  return convTranspose2d(
    x,
    s.parameter("weight", [channels, channels, 2, 2]),
    s.parameter("bias", [channels]),
  );
}

/** Halves a map: 2x2 convolution with stride 2, channels kept. */
export function halveMap(s: Scope, x: Value): Value {
  return conv(s, x, channelsOf(x), 2, { stride: 2, padding: NO_PADDING });
}

/** Group norm of a map with weight [C] and bias [C]. */
export function affineGroupNorm(s: Scope, x: Value, groups: number, epsilon: number): Value {
  const scale = perChannel(s.parameter("weight", [channelsOf(x)]));
  const shift = perChannel(s.parameter("bias", [channelsOf(x)]));
  return groupNorm(x, scale, shift, { groups, epsilon });
}

/** Numbers [C] as a map [1,C,1,1]. */
export function perChannel(x: Value): Value {
  return reshape(x, [1, x.shape[0]!, 1, 1]);
}

/** Layer norm over the last axis with weight and bias. */
export function affineLayerNorm(s: Scope, x: Value, epsilon: number): Value {
  const size = [lastOf(x)];
  return layerNorm(x, s.parameter("weight", size), s.parameter("bias", size), epsilon);
}

/** Root-mean-square norm over the last axis with a weight, as T5 uses it. */
export function affineRmsNorm(s: Scope, x: Value, epsilon: number): Value {
  return rmsNorm(x, s.parameter("weight", [lastOf(x)]), epsilon);
}

/** Every row of a matrix [B,C] brought to length 1. */
export function unitRows(x: Value): Value {
  const rows = x.shape[0]!;
  return div(x, sqrt(add(reshape(reduceSum(mul(x, x), 1), [rows, 1]), UNIT_EPSILON)));
}

const UNIT_EPSILON = 1e-6;

export const NO_PADDING: Padding = [0, 0, 0, 0];

function samePadding(kernel: number): Padding {
  const side = (kernel - 1) / 2;
  return [side, side, side, side];
}

export function channelsOf(map: Value): number {
  return map.shape[1]!;
}

function lastOf(x: Value): number {
  return x.shape[x.shape.length - 1]!;
}
