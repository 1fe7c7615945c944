import type { Graph, Node, OpName, Padding } from "../graph/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { lowerAttention } from "./attention.ts";
import type { Emitter } from "./emitter.ts";
import {
  lowerBlockedGroupMoments,
  lowerBlockedGroupNorm,
  lowerGroupMoments,
  lowerGroupNorm,
  NEAREST,
} from "./group-norm.ts";
import { ONNX_TYPE } from "./proto.ts";

/** Domains of ONNX Runtime's own operations. */
export const MICROSOFT = "com.microsoft";
export const BLOCKED = "com.microsoft.nchwc";

/** What a lowering sees: the node, its graph for the shapes of its inputs, and their ONNX names. */
export interface LoweringContext<K extends OpName> {
  readonly emit: Emitter;
  readonly graph: Graph;
  readonly node: Node<K>;
  readonly inputs: readonly string[];
}

/** Emits the ONNX nodes of one operation and returns the name of the result. */
export type Lowering<K extends OpName> = (context: LoweringContext<K>) => string;

/** Operations that become no node: they are inputs, weights and constants of the model. */
export type SourceOp = "input" | "parameter" | "constant";

export const LOWERINGS: { readonly [K in Exclude<OpName, SourceOp>]: Lowering<K> } = {
  add: ({ emit, inputs }) => emit.emit("Add", inputs),
  sub: ({ emit, inputs }) => emit.emit("Sub", inputs),
  mul: ({ emit, inputs }) => emit.emit("Mul", inputs),
  div: ({ emit, inputs }) => emit.emit("Div", inputs),
  sin: ({ emit, inputs }) => emit.emit("Sin", inputs),
  cos: ({ emit, inputs }) => emit.emit("Cos", inputs),
  // x * sigmoid(1 x): one threaded pass instead of two nodes.
  silu: ({ emit, inputs }) => emit.emit(`${MICROSOFT}:QuickGelu`, inputs, { alpha: { float: 1 } }),
  cast: ({ emit, node, inputs }) =>
    emit.emit("Cast", inputs, { to: { int: ONNX_TYPE[node.attributes.dtype] } }),
  matmul: lowerMatmul,
  conv2d: ({ emit, graph, node, inputs }) =>
    emit.emit("Conv", inputs, convolution(graph.nodes[node.inputs[1]!]!.shape.slice(2), node.attributes)),
  convTranspose2d: ({ emit, graph, node, inputs }) => {
    const kernel = graph.nodes[node.inputs[1]!]!.shape.slice(2);
    return emit.emit("ConvTranspose", inputs, { kernel_shape: { ints: kernel }, strides: { ints: kernel } });
  },
  groupMoments: lowerGroupMoments,
  groupNorm: lowerGroupNorm,
  layerNorm: ({ emit, node, inputs }) =>
    emit.emit("LayerNormalization", inputs, {
      axis: { int: -1 },
      epsilon: { float: node.attributes.epsilon },
    }),
  rmsNorm: ({ emit, node, inputs }) =>
    emit.emit("SimplifiedLayerNormalization", inputs, {
      axis: { int: -1 },
      epsilon: { float: node.attributes.epsilon },
    }),
  attention: lowerAttention,
  gather: ({ emit, inputs }) => emit.emit("Gather", inputs, { axis: { int: 0 } }),
  argmin: ({ emit, inputs }) => emit.emit("ArgMin", inputs, { axis: { int: -1 }, keepdims: { int: 0 } }),
  reduceSum: ({ emit, node, inputs }) =>
    emit.emit("ReduceSum", [inputs[0]!, emit.integers([node.attributes.axis])], { keepdims: { int: 0 } }),
  reshape: ({ emit, node, inputs }) => emit.emit("Reshape", [inputs[0]!, emit.integers(node.shape)]),
  transpose: ({ emit, node, inputs }) =>
    emit.emit("Transpose", inputs, { perm: { ints: node.attributes.order } }),
  slice: ({ emit, node, inputs }) => {
    const { axis, start, end, step } = node.attributes;
    return emit.emit("Slice", [inputs[0]!, ...[start, end, axis, step].map((n) => emit.integers([n]))]);
  },
  concat: ({ emit, node, inputs }) => emit.emit("Concat", inputs, { axis: { int: node.attributes.axis } }),
  resizeNearest: ({ emit, node, inputs }) => {
    const { factor } = node.attributes;
    const scales = emit.constant(float32([4], [1, 1, factor, factor]));
    return emit.emit("Resize", [inputs[0]!, "", scales], NEAREST);
  },
  toBlocked: ({ emit, inputs }) => emit.emit(`${BLOCKED}:ReorderInput`, inputs),
  fromBlocked: ({ emit, node, inputs }) =>
    emit.emit(`${BLOCKED}:ReorderOutput`, inputs, { channels: { int: node.attributes.channels } }),
  blockedToTokens: ({ emit, node, inputs }) => {
    const attributes = { channels: { int: node.shape[2]! }, channels_last: { int: 1 } };
    const rows = emit.emit(`${BLOCKED}:ReorderOutput`, inputs, attributes);
    return emit.emit("Reshape", [rows, emit.integers(node.shape)]);
  },
  tokensToBlocked: ({ emit, node, inputs }) => {
    const [batch, channels, height, width] = node.shape as [number, number, number, number];
    const rows = emit.emit("Reshape", [inputs[0]!, emit.integers([batch, height, width, channels])]);
    return emit.emit(`${BLOCKED}:ReorderInput`, [rows], { channels_last: { int: 1 } });
  },
  blockedConv2d: ({ emit, graph, node, inputs }) =>
    emit.emit(
      `${BLOCKED}:Conv`,
      inputs,
      convolution(graph.nodes[node.inputs[1]!]!.shape.slice(2), node.attributes),
    ),
  blockedGroupMoments: lowerBlockedGroupMoments,
  blockedGroupNorm: lowerBlockedGroupNorm,
};

function convolution(kernel: readonly number[], { stride, padding }: { stride: number; padding: Padding }) {
  return {
    kernel_shape: { ints: kernel },
    strides: { ints: [stride, stride] },
    pads: { ints: padding },
  };
}

/** A weight as the right side goes to Gemm, which reads it as it lies; anything else to a batched product. */
function lowerMatmul({ emit, graph, node, inputs }: LoweringContext<"matmul">): string {
  const [a, b] = node.inputs.map((id) => graph.nodes[id]!) as [Node, Node];
  const { transposeB } = node.attributes;
  if (!transposeB) return emit.emit("MatMul", inputs);
  if (b.shape.length !== 2) return emit.emit(`${MICROSOFT}:FusedMatMul`, inputs, { transB: { int: 1 } });
  const inner = a.shape[a.shape.length - 1]!;
  const rows =
    a.shape.length === 2 ? inputs[0]! : emit.emit("Reshape", [inputs[0]!, emit.integers([-1, inner])]);
  const product = emit.emit("Gemm", [rows, inputs[1]!], { transB: { int: 1 } });
  return a.shape.length === 2 ? product : emit.emit("Reshape", [product, emit.integers(node.shape)]);
}
