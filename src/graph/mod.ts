export { buildGraph, GraphBuilder, type Value } from "./builder.ts";
export { embed } from "./embed.ts";
export { graphFlops, peakActivationBytes } from "./flops.ts";
export {
  abs,
  add,
  argmin,
  attention,
  cast,
  concat,
  conv2d,
  conv2dInputGradient,
  conv2dWeightGradient,
  convTranspose2d,
  cos,
  detach,
  div,
  expand,
  gather,
  groupMoments,
  groupNorm,
  layerNorm,
  logSoftmax,
  matmul,
  maximum,
  mul,
  place,
  reduceSum,
  reshape,
  resizeNearest,
  rmsNorm,
  scatterAdd,
  sigmoid,
  sign,
  silu,
  sin,
  slice,
  softmax,
  sqrt,
  sub,
  transpose,
} from "./functions.ts";
export {
  describeNode,
  type Graph,
  layerWeightsOf,
  type Node,
  nodesOf,
  type ParameterShape,
  parametersOf,
} from "./graph.ts";
export {
  OPS,
  type OpAttributes,
  type OpName,
  type OpRule,
  type Padding,
  type SequenceLayout,
  type Signature,
} from "./ops.ts";
export { census, fingerprint, printGraph } from "./print.ts";
export { type RewriteContext, reachable, rewrite, useCounts } from "./rewrite.ts";
export { broadcast, sequence } from "./shape-rules.ts";
export { verifyGraph } from "./verify.ts";
