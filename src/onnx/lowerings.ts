import { product } from "../base/mod.ts";
import type { Graph, Node, OpName } from "../graph/mod.ts";
import { float32, zeros } from "../tensor/mod.ts";
import { lowerAttention } from "./attention.ts";
import {
  convolution,
  lowerConv2dInputGradient,
  lowerConv2dWeightGradient,
  lowerPatches,
} from "./convolution.ts";
import type { Emitter } from "./emitter.ts";
import {
  lowerBlockedGroupMoments,
  lowerBlockedGroupNorm,
  lowerGroupMoments,
  lowerGroupNorm,
  NEAREST,
} from "./group-norm.ts";
import { ONNX_TYPE } from "./proto.ts";
import { lowerDequantize, lowerMatmulNBits } from "./quantized.ts";

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
  sigmoid: ({ emit, inputs }) => emit.emit("Sigmoid", inputs),
  sqrt: ({ emit, inputs }) => emit.emit("Sqrt", inputs),
  abs: ({ emit, inputs }) => emit.emit("Abs", inputs),
  sign: ({ emit, inputs }) => emit.emit("Sign", inputs),
  maximum: ({ emit, inputs }) => emit.emit("Max", inputs),
  detach: ({ inputs }) => inputs[0]!,
  after: lowerAfter,
  cast: ({ emit, node, inputs }) =>
    emit.emit("Cast", inputs, { to: { int: ONNX_TYPE[node.attributes.dtype] } }),
  matmul: lowerMatmul,
  conv2d: ({ emit, graph, node, inputs }) =>
    emit.emit("Conv", inputs, convolution(graph.nodes[node.inputs[1]!]!.shape.slice(2), node.attributes)),
  convTranspose2d: ({ emit, graph, node, inputs }) => {
    const kernel = graph.nodes[node.inputs[1]!]!.shape.slice(2);
    return emit.emit("ConvTranspose", inputs, { kernel_shape: { ints: kernel }, strides: { ints: kernel } });
  },
  conv2dInputGradient: lowerConv2dInputGradient,
  conv2dWeightGradient: lowerConv2dWeightGradient,
  patches: lowerPatches,
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
  softmax: ({ emit, inputs }) => emit.emit("Softmax", inputs, { axis: { int: -1 } }),
  logSoftmax: ({ emit, inputs }) => emit.emit("LogSoftmax", inputs, { axis: { int: -1 } }),
  gather: ({ emit, inputs }) => emit.emit("Gather", inputs, { axis: { int: 0 } }),
  scatterAdd: lowerScatterAdd,
  argmin: ({ emit, inputs }) => emit.emit("ArgMin", inputs, { axis: { int: -1 }, keepdims: { int: 0 } }),
  reduceSum: ({ emit, node, inputs }) =>
    emit.emit("ReduceSum", [inputs[0]!, emit.integers([node.attributes.axis])], { keepdims: { int: 0 } }),
  expand: ({ emit, node, inputs }) => emit.emit("Expand", [inputs[0]!, emit.integers(node.shape)]),
  reshape: ({ emit, node, inputs }) => emit.emit("Reshape", [inputs[0]!, emit.integers(node.shape)]),
  transpose: ({ emit, node, inputs }) =>
    emit.emit("Transpose", inputs, { perm: { ints: node.attributes.order } }),
  slice: ({ emit, node, inputs }) => {
    const { axis, start, end, step } = node.attributes;
    return emit.emit("Slice", [inputs[0]!, ...[start, end, axis, step].map((n) => emit.integers([n]))]);
  },
  place: lowerPlace,
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
  dequantize: lowerDequantize,
  matmulNBits: lowerMatmulNBits,
};

/**
 * A stored weight as the right side goes to Gemm, which reads it as it lies; anything else to products of any number
 * of axes, which take the rows of all of them as one matrix where the right side has two.
 */
function lowerMatmul({ emit, graph, node, inputs }: LoweringContext<"matmul">): string {
  const [a, b] = node.inputs.map((id) => graph.nodes[id]!) as [Node, Node];
  const { transposeA, transposeB } = node.attributes;
  if (!transposeA && !transposeB) return emit.emit("MatMul", inputs);
  const attributes = { transA: { int: transposeA ? 1 : 0 }, transB: { int: transposeB ? 1 : 0 } };
  if (a.shape.length === 2 && b.shape.length === 2) return emit.emit("Gemm", inputs, attributes);
  if (transposeA || b.op !== "parameter") return emit.emit(`${MICROSOFT}:FusedMatMul`, inputs, attributes);
  const rows = emit.emit("Reshape", [inputs[0]!, emit.integers([-1, a.shape[a.shape.length - 1]!])]);
  const product = emit.emit("Gemm", [rows, inputs[1]!], { transB: { int: 1 } });
  return emit.emit("Reshape", [product, emit.integers(node.shape)]);
}

/**
 * A view whose shape is computed from the second operand's, so that nothing of what follows can run before it:
 * ONNX has no other way to say so. The values are not copied.
 */
function lowerAfter({ emit, node, inputs }: LoweringContext<"after">): string {
  const sizes = emit.emit("Shape", [inputs[1]!]);
  const nothing = emit.emit("ReduceSum", [emit.emit("Mul", [sizes, emit.integers([0])]), emit.integers([0])]);
  return emit.emit("Reshape", [inputs[0]!, emit.emit("Add", [emit.integers(node.shape), nothing])]);
}

/** By elements: the runtime adds those in turn, while it adds rows with equal indices at the same time. */
function lowerScatterAdd({ emit, graph, node, inputs }: LoweringContext<"scatterAdd">): string {
  const count = product(graph.nodes[node.inputs[1]!]!.shape);
  const size = product(node.shape.slice(1));
  const rows = emit.emit("Reshape", [inputs[0]!, emit.integers([count, size])]);
  const column = emit.emit("Reshape", [inputs[1]!, emit.integers([count, 1])]);
  const places = emit.emit("Expand", [column, emit.integers([count, size])]);
  const zero = emit.constant(zeros(node.dtype, [1, 1]));
  const table = emit.emit("Expand", [zero, emit.integers([node.attributes.rows, size])]);
  const sums = emit.emit("ScatterElements", [table, places, rows], {
    axis: { int: 0 },
    reduction: { string: "add" },
  });
  return emit.emit("Reshape", [sums, emit.integers(node.shape)]);
}

function lowerPlace({ emit, graph, node, inputs }: LoweringContext<"place">): string {
  const { axis, start, step, size } = node.attributes;
  const { shape } = graph.nodes[node.inputs[0]!]!;
  const count = shape[axis]!;
  const pad = (x: string, at: number, before: number, after: number) =>
    emit.emit("Pad", [x, emit.integers([before, after]), "", emit.integers([at])]);
  if (step === 1) return pad(inputs[0]!, axis, start, size - start - count);
  // Each value with the zeros that follow it, less those past the last one, or with those still missing.
  const apart = emit.emit("Reshape", [
    inputs[0]!,
    emit.integers([...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]),
  ]);
  const spaced = emit.emit("Reshape", [
    pad(apart, axis + 1, 0, step - 1),
    emit.integers(shape.with(axis, count * step)),
  ]);
  return pad(spaced, axis, start, size - start - count * step);
}
