export { buildGraph, GraphBuilder, type Value } from "./builder.ts";
export { graphFlops, peakActivationBytes } from "./flops.ts";
export {
  add,
  argmin,
  attention,
  cast,
  concat,
  conv2d,
  convTranspose2d,
  cos,
  div,
  gather,
  groupMoments,
  groupNorm,
  layerNorm,
  matmul,
  mul,
  reduceSum,
  reshape,
  resizeNearest,
  rmsNorm,
  silu,
  sin,
  slice,
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
  broadcast,
  OPS,
  type OpAttributes,
  type OpName,
  type OpRule,
  type Padding,
  type SequenceLayout,
  type Signature,
  sequence,
} from "./ops.ts";
export { census, fingerprint, printGraph } from "./print.ts";
export { type RewriteContext, reachable, rewrite, useCounts } from "./rewrite.ts";
export { verifyGraph } from "./verify.ts";
