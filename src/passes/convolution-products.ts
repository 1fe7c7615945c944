import { product } from "../base/mod.ts";
import {
  type Graph,
  matmul,
  type Node,
  type Padding,
  place,
  reshape,
  rewrite,
  slice,
  transpose,
  type Value,
} from "../graph/mod.ts";
import { toPlain, toRows } from "./channels-last.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * Convolutions of stride 1 and their derivatives as products of the patches of a map, for graphs whose maps are
 * rows of channels (`channelsLast`). Both derivatives read the same patches, those of the gradient, so that no
 * patches are kept from the way there to the way back. Taps that only ever meet the border are left out: of a
 * 3x3 kernel on a single cell one is left.
 */
export const convolutionProducts: Pass = {
  name: "convolution-products",
  run: (graph: Graph) =>
    removeDeadNodes(
      rewrite(graph, (node, inputs) => {
        if (node.op === "conv2d") return convolution(node, inputs);
        if (node.op === "conv2dInputGradient") return inputGradient(node, inputs);
        if (node.op === "conv2dWeightGradient") return weightGradient(node, inputs);
        return undefined;
      }),
    ),
};

function convolution({ attributes }: Node<"conv2d">, [x, weight, bias]: readonly Value[]): Value | undefined {
  if (attributes.stride !== 1 || bias !== undefined) return undefined;
  const taps = metTaps(weight!.shape, x!.shape, attributes.padding);
  const kernel = cutTaps(weight!, taps);
  const [out, channels, kh, kw] = kernel.shape as [number, number, number, number];
  const patches = patchesOf(toRows(x!), [kh, kw], taps.padding, false);
  const matrix = reshape(transpose(kernel, [0, 2, 3, 1]), [out, kh * kw * channels]);
  return toPlain(matmul(patches, matrix, { transposeB: true }));
}

function inputGradient(
  node: Node<"conv2dInputGradient">,
  [gradient, weight]: readonly Value[],
): Value | undefined {
  if (node.attributes.stride !== 1) return undefined;
  const taps = metTaps(weight!.shape, node.shape, node.attributes.padding);
  const kernel = cutTaps(weight!, taps);
  const [out, channels, kh, kw] = kernel.shape as [number, number, number, number];
  const patches = patchesOf(toRows(gradient!), [kh, kw], turned(taps.padding, kh, kw), true);
  const matrix = reshape(transpose(kernel, [2, 3, 0, 1]), [kh * kw * out, channels]);
  return toPlain(matmul(patches, matrix));
}

function weightGradient(
  node: Node<"conv2dWeightGradient">,
  [x, gradient]: readonly Value[],
): Value | undefined {
  if (node.attributes.stride !== 1) return undefined;
  const taps = metTaps(node.shape, x!.shape, node.attributes.padding);
  const [out, channels] = node.shape as [number, number];
  const [kh, kw] = taps.size;
  const [rows, gradientRows] = [toRows(x!), toRows(gradient!)];
  const flat = (value: Value) => reshape(value, [product(value.shape.slice(0, 3)), value.shape[3]!]);
  // Few channels make the smaller patches.
  const isNarrow = 2 * channels < out;
  const patches = isNarrow
    ? patchesOf(rows, [kh, kw], taps.padding, false)
    : patchesOf(gradientRows, [kh, kw], turned(taps.padding, kh, kw), true);
  const sums = isNarrow
    ? transpose(
        reshape(matmul(flat(gradientRows), flat(patches), { transposeA: true }), [out, kh, kw, channels]),
        [0, 3, 1, 2],
      )
    : transpose(
        reshape(matmul(flat(rows), flat(patches), { transposeA: true }), [channels, kh, kw, out]),
        [3, 0, 1, 2],
      );
  const [all, across] = [node.shape[2]!, node.shape[3]!];
  const tall = place(sums, { axis: 2, start: taps.start[0], step: 1, size: all });
  return place(tall, { axis: 3, start: taps.start[1], step: 1, size: across });
}

/** The part of a kernel that meets the map at all, and the padding that it needs. */
interface Taps {
  readonly start: readonly [number, number];
  readonly size: readonly [number, number];
  readonly padding: Padding;
}

function metTaps(weight: readonly number[], map: readonly number[], padding: Padding): Taps {
  const [top, left, bottom, right] = padding;
  const axis = (kernel: number, size: number, before: number, after: number) => {
    const made = size + before + after - kernel + 1;
    // Tap t of result y reads y + t - before.
    const first = Math.max(0, before - made + 1);
    const last = Math.min(kernel - 1, size - 1 + before);
    return { first, count: last - first + 1, before: before - first, after: after - (kernel - 1 - last) };
  };
  const tall = axis(weight[2]!, map[2]!, top, bottom);
  const wide = axis(weight[3]!, map[3]!, left, right);
  return {
    start: [tall.first, wide.first],
    size: [tall.count, wide.count],
    padding: [tall.before, wide.before, tall.after, wide.after],
  };
}

function cutTaps(weight: Value, { start, size }: Taps): Value {
  const tall = slice(weight, 2, start[0], start[0] + size[0]);
  return slice(tall, 3, start[1], start[1] + size[1]);
}

/** The padding with which a gradient's patches belong to the cells of the map. */
function turned([top, left, bottom, right]: Padding, kh: number, kw: number): Padding {
  return [kh - 1 - top, kw - 1 - left, kh - 1 - bottom, kw - 1 - right];
}

function patchesOf(
  rows: Value,
  kernel: readonly [number, number],
  padding: Padding,
  isFlipped: boolean,
): Value {
  if (kernel[0] * kernel[1] === 1 && padding.every((side) => side === 0)) return rows;
  return rows.builder.apply("patches", [rows], { kernel, padding, isFlipped });
}
