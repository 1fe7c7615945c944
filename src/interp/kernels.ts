import type { Node, OpName } from "../graph/mod.ts";
import {
  blockedConv2d,
  blockedGroupMoments,
  blockedGroupNorm,
  blockedToTokens,
  fromBlocked,
  toBlocked,
  tokensToBlocked,
} from "./blocked.ts";
import {
  conv2d,
  conv2dInputGradient,
  conv2dWeightGradient,
  convTranspose2d,
  patches,
} from "./convolution.ts";
import { binary, sigmoid, silu, unary } from "./elementwise.ts";
import {
  argmin,
  concat,
  expand,
  gather,
  place,
  reduceSum,
  resizeNearest,
  scatterAdd,
  slice,
  transpose,
} from "./layout.ts";
import { groupMoments, groupNorm, layerNorm, rmsNorm } from "./normalization.ts";
import { attention, logSoftmax, matmul, softmax } from "./products.ts";
import { dequantize, matmulNBits } from "./quantized.ts";
import { round, type Values, widen } from "./values.ts";

/** The values of a node, row-major, from its inputs'; inputs are never changed, but may be handed on. */
export type Kernel<K extends OpName> = (node: Node<K>, inputs: readonly Values[]) => Float64Array;

/** What each operation means, in float64. The executor itself answers `input` and `parameter`. */
export const KERNELS: { readonly [K in Exclude<OpName, "input" | "parameter">]: Kernel<K> } = {
  constant: (node) => widen(node.attributes.value),
  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b),
  div: binary((a, b) => a / b),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  silu: unary(silu),
  sigmoid: unary(sigmoid),
  sqrt: unary(Math.sqrt),
  abs: unary(Math.abs),
  sign: unary(Math.sign),
  maximum: binary(Math.max),
  detach: (_, [x]) => x!.data,
  after: (_, [x]) => x!.data,
  cast: (node, [x]) => round(x!, node.dtype),
  matmul,
  conv2d,
  convTranspose2d,
  conv2dInputGradient,
  conv2dWeightGradient,
  patches,
  groupMoments,
  groupNorm,
  layerNorm,
  rmsNorm,
  attention,
  softmax,
  logSoftmax,
  gather,
  scatterAdd,
  argmin,
  reduceSum,
  expand,
  reshape: (_, [x]) => x!.data,
  transpose,
  slice,
  place,
  concat,
  resizeNearest,
  toBlocked,
  fromBlocked,
  blockedToTokens,
  tokensToBlocked,
  blockedConv2d,
  blockedGroupMoments,
  blockedGroupNorm,
  dequantize,
  matmulNBits,
};
