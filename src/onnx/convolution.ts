import type { Padding } from "../graph/mod.ts";
import type { LoweringContext } from "./lowerings.ts";

interface Steps {
  readonly stride: number;
  readonly padding: Padding;
}

/** The attributes of a convolution. */
export function convolution(kernel: readonly number[], { stride, padding }: Steps) {
  return {
    kernel_shape: { ints: kernel },
    strides: { ints: [stride, stride] },
    pads: { ints: padding },
  };
}

/** The transposed convolution; rows and columns that the stride left over get zeros. */
export function lowerConv2dInputGradient({
  emit,
  graph,
  node,
  inputs,
}: LoweringContext<"conv2dInputGradient">): string {
  const [gradient, weight] = node.inputs.map((id) => graph.nodes[id]!.shape) as [number[], number[]];
  const { stride, padding, height, width } = node.attributes;
  const [top, left, bottom, right] = padding;
  const over = (size: number, made: number, kernel: number, pad: number) =>
    size - ((made - 1) * stride + kernel - pad);
  return emit.emit("ConvTranspose", inputs, {
    ...convolution(weight.slice(2), node.attributes),
    output_padding: {
      ints: [
        over(height, gradient[2]!, weight[2]!, top + bottom),
        over(width, gradient[3]!, weight[3]!, left + right),
      ],
    },
  });
}

/**
 * A convolution over the batch: the map's channels are its batch, the gradient its kernel, whose cells lie a
 * stride apart; what the stride left over at the end is cut off.
 */
export function lowerConv2dWeightGradient({
  emit,
  graph,
  node,
  inputs,
}: LoweringContext<"conv2dWeightGradient">): string {
  const gradient = graph.nodes[node.inputs[1]!]!.shape;
  const { stride, padding, kernel } = node.attributes;
  const swap = (x: string) => emit.emit("Transpose", [x], { perm: { ints: [1, 0, 2, 3] } });
  const taps = emit.emit("Conv", inputs.map(swap), {
    ...convolution(gradient.slice(2), { stride: 1, padding }),
    dilations: { ints: [stride, stride] },
  });
  const cut = emit.emit("Slice", [taps, emit.integers([0, 0]), emit.integers(kernel), emit.integers([2, 3])]);
  return swap(cut);
}

/** One gather of cells by a table of places; the border is a cell of zeros after the last one. */
export function lowerPatches({ emit, graph, node, inputs }: LoweringContext<"patches">): string {
  const { kernel, padding, isFlipped } = node.attributes;
  const [batch, height, width, channels] = graph.nodes[node.inputs[0]!]!.shape as [
    number,
    number,
    number,
    number,
  ];
  const [, h, w] = node.shape as [number, number, number];
  const [kh, kw] = kernel;
  const border = height * width;
  const places = new BigInt64Array(h * w * kh * kw);
  for (let i = 0; i < places.length; i++) {
    const [cell, tap] = [Math.floor(i / (kh * kw)), i % (kh * kw)];
    const at = isFlipped ? kh * kw - 1 - tap : tap;
    const row = Math.floor(cell / w) + Math.floor(at / kw) - padding[0];
    const column = (cell % w) + (at % kw) - padding[1];
    const isInside = row >= 0 && row < height && column >= 0 && column < width;
    places[i] = BigInt(isInside ? row * width + column : border);
  }
  const cells = emit.emit("Reshape", [inputs[0]!, emit.integers([batch, border, channels])]);
  const bordered = emit.emit("Pad", [cells, emit.integers([0, 1]), "", emit.integers([1])]);
  const table = emit.constant({ dtype: "int64", shape: [places.length], data: places });
  const gathered = emit.emit("Gather", [bordered, table], { axis: { int: 1 } });
  return emit.emit("Reshape", [gathered, emit.integers(node.shape)]);
}
