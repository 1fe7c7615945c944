import type { OpName } from "../graph/mod.ts";
import {
  absRule,
  addRule,
  castRule,
  cosRule,
  divRule,
  maximumRule,
  mulRule,
  sigmoidRule,
  siluRule,
  sinRule,
  sqrtRule,
  subRule,
} from "./elementwise.ts";
import {
  concatRule,
  expandRule,
  gatherRule,
  placeRule,
  reduceSumRule,
  reshapeRule,
  resizeNearestRule,
  scatterAddRule,
  sliceRule,
  transposeRule,
} from "./layout.ts";
import { groupMomentsRule, groupNormRule, layerNormRule, rmsNormRule } from "./normalization.ts";
import {
  attentionRule,
  conv2dInputGradientRule,
  conv2dRule,
  conv2dWeightGradientRule,
  convTranspose2dRule,
  logSoftmaxRule,
  matmulRule,
  softmaxRule,
} from "./products.ts";
import type { Rule } from "./rule.ts";

/** Operations through which no derivative passes: sources, steps, and a derivative that is 0 by intent. */
type Flat = "none";

/** Layouts are chosen after derivatives were taken. */
type Later = "later";

/**
 * The derivative of every operation, the column that completes the table in `graph/ops.ts`; an operation that
 * is missing here does not compile.
 */
export const RULES: { readonly [K in OpName]: Rule<K> | Flat | Later } = {
  input: "none",
  parameter: "none",
  constant: "none",
  add: addRule,
  sub: subRule,
  mul: mulRule,
  div: divRule,
  sin: sinRule,
  cos: cosRule,
  silu: siluRule,
  sigmoid: sigmoidRule,
  sqrt: sqrtRule,
  abs: absRule,
  sign: "none",
  maximum: maximumRule,
  detach: "none",
  after: ({ gradient }) => [() => gradient, undefined],
  cast: castRule,
  matmul: matmulRule,
  conv2d: conv2dRule,
  convTranspose2d: convTranspose2dRule,
  conv2dInputGradient: conv2dInputGradientRule,
  conv2dWeightGradient: conv2dWeightGradientRule,
  groupMoments: groupMomentsRule,
  groupNorm: groupNormRule,
  layerNorm: layerNormRule,
  rmsNorm: rmsNormRule,
  attention: attentionRule,
  softmax: softmaxRule,
  logSoftmax: logSoftmaxRule,
  gather: gatherRule,
  scatterAdd: scatterAddRule,
  argmin: "none",
  reduceSum: reduceSumRule,
  expand: expandRule,
  reshape: reshapeRule,
  transpose: transposeRule,
  slice: sliceRule,
  place: placeRule,
  concat: concatRule,
  resizeNearest: resizeNearestRule,
  patches: "later",
  toBlocked: "later",
  fromBlocked: "later",
  blockedToTokens: "later",
  tokensToBlocked: "later",
  blockedConv2d: "later",
  blockedGroupMoments: "later",
  blockedGroupNorm: "later",
  dequantize: "none",
  matmulNBits: "none",
};
