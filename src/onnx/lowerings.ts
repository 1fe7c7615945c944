import { product } from "../base/mod.ts";
import {
  type Graph,
  type Node,
  type OpName,
  type Padding,
  type SequenceLayout,
  sequence,
} from "../graph/mod.ts";
import { float32 } from "../tensor/mod.ts";
import type { Emitter } from "./emitter.ts";
import { ONNX_TYPE } from "./proto.ts";

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
  groupNorm: ({ emit, node, inputs }) => {
    const { groups, epsilon } = node.attributes;
    const [batch, ...rest] = node.shape;
    const grouped = emit.emit("Reshape", [
      inputs[0]!,
      emit.integers([batch!, groups, product(rest) / groups]),
    ]);
    const ones = emit.constant(float32([groups], new Array(groups).fill(1)));
    const zeros = emit.constant(float32([groups], new Array(groups).fill(0)));
    const normal = emit.emit("InstanceNormalization", [grouped, ones, zeros], {
      epsilon: { float: epsilon },
    });
    return emit.emit("Reshape", [normal, emit.integers(node.shape)]);
  },
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
    return emit.emit("Resize", [inputs[0]!, "", scales], {
      mode: { string: "nearest" },
      coordinate_transformation_mode: { string: "asymmetric" },
      nearest_mode: { string: "floor" },
    });
  },
  toBlocked: ({ emit, inputs }) => emit.emit(`${BLOCKED}:ReorderInput`, inputs),
  fromBlocked: ({ emit, node, inputs }) =>
    emit.emit(`${BLOCKED}:ReorderOutput`, inputs, { channels: { int: node.attributes.channels } }),
  blockedConv2d: ({ emit, graph, node, inputs }) => {
    // The runtime knows blocked weights by their plain shape [O,C,kh,kw].
    const [outer, inner, kh, kw, blockIn, blockOut] = graph.nodes[node.inputs[1]!]!.shape as number[];
    const plain = [outer! * blockOut!, inner! * blockIn!, kh!, kw!];
    const weight = emit.emit("Reshape", [inputs[1]!, emit.integers(plain)]);
    return emit.emit(
      `${BLOCKED}:Conv`,
      [inputs[0]!, weight, ...inputs.slice(2)],
      convolution([kh!, kw!], node.attributes),
    );
  },
};

const MICROSOFT = "com.microsoft";
const BLOCKED = "com.microsoft.nchwc";

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

/** Scores, softmax and mix as batched products; the channel-first layout needs no transposition at all. */
function lowerAttention({ emit, graph, node, inputs }: LoweringContext<"attention">): string {
  const { heads, scale, queries, keys } = node.attributes;
  const [q, k, v, bias] = node.inputs.map((id) => graph.nodes[id]!);
  const split = (name: string, x: Node, layout: SequenceLayout) => {
    const { batch, length, channels } = sequence(x, layout);
    if (layout === "channels") {
      return emit.emit("Reshape", [name, emit.integers([batch, heads, channels / heads, length])]);
    }
    const apart = emit.emit("Reshape", [name, emit.integers([batch, length, heads, channels / heads])]);
    return emit.emit("Transpose", [apart], { perm: { ints: [0, 2, 1, 3] } });
  };
  let scores = emit.emit(
    `${MICROSOFT}:FusedMatMul`,
    [split(inputs[0]!, q!, queries), split(inputs[1]!, k!, keys)],
    {
      alpha: { float: scale },
      transA: { int: queries === "channels" ? 1 : 0 },
      transB: { int: keys === "tokens" ? 1 : 0 },
    },
  );
  if (bias) scores = emit.emit("Add", [scores, inputs[3]!]);
  const weights = emit.emit("Softmax", [scores], { axis: { int: -1 } });
  const values = split(inputs[2]!, v!, keys);
  if (queries === "channels") {
    const mixed = emit.emit(`${MICROSOFT}:FusedMatMul`, [values, weights], {
      transA: { int: keys === "tokens" ? 1 : 0 },
      transB: { int: 1 },
    });
    return emit.emit("Reshape", [mixed, emit.integers(node.shape)]);
  }
  const mixed = emit.emit(`${MICROSOFT}:FusedMatMul`, [weights, values], {
    transB: { int: keys === "channels" ? 1 : 0 },
  });
  const together = emit.emit("Transpose", [mixed], { perm: { ints: [0, 2, 1, 3] } });
  return emit.emit("Reshape", [together, emit.integers(node.shape)]);
}
