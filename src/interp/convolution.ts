import { product } from "../base/mod.ts";
import type { Node, Padding } from "../graph/mod.ts";
import type { Values } from "./values.ts";

/** Cross-correlation of x [B,C,H,W] with weight [O,C,kh,kw], plus bias [O]. */
export function conv2d(node: Node<"conv2d">, [x, weight, bias]: readonly Values[]): Float64Array {
  const { stride, padding } = node.attributes;
  return convolve(x!, weight!, bias, node.shape, stride, padding);
}

/** Each cell of x [B,C,H,W] becomes an s x s square: sum over C of x times weight [C,O,s,s], plus bias [O]. */
export function convTranspose2d(
  node: Node<"convTranspose2d">,
  [x, weight, bias]: readonly Values[],
): Float64Array {
  const [batch, channels, height, width] = x!.shape as [number, number, number, number];
  const [, outputs, size] = weight!.shape as [number, number, number];
  const [area, row] = [size * size, width * size];
  const out = startFromBias(node.shape, bias);
  for (let plane = 0; plane < batch * outputs; plane++) {
    const [b, o] = [Math.floor(plane / outputs), plane % outputs];
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < area; k++) {
        const factor = weight!.data[(c * outputs + o) * area + k]!;
        const corner = (plane * height * size + Math.floor(k / size)) * row + (k % size);
        for (let y = 0; y < height; y++) {
          const from = ((b * channels + c) * height + y) * width;
          const to = corner + y * size * row;
          for (let i = 0; i < width; i++) {
            out[to + i * size] = out[to + i * size]! + factor * x!.data[from + i]!;
          }
        }
      }
    }
  }
  return out;
}

/** Every product of the convolution, given back to the cell of the map that it came from. */
export function conv2dInputGradient(
  node: Node<"conv2dInputGradient">,
  [gradient, weight]: readonly Values[],
): Float64Array {
  const [batch, channels] = node.shape as [number, number];
  const { height, width, ...steps } = node.attributes;
  const out = new Float64Array(product(node.shape));
  eachTap([batch, channels, height, width], gradient!.shape, weight!.shape, steps, (from, to, tap) => {
    out[from] = out[from]! + gradient!.data[to]! * weight!.data[tap]!;
  });
  return out;
}

/** Every product of the convolution, given back to its weight. */
export function conv2dWeightGradient(
  node: Node<"conv2dWeightGradient">,
  [x, gradient]: readonly Values[],
): Float64Array {
  const out = new Float64Array(product(node.shape));
  eachTap(x!.shape, gradient!.shape, node.shape, node.attributes, (from, to, tap) => {
    out[tap] = out[tap]! + x!.data[from]! * gradient!.data[to]!;
  });
  return out;
}

/** Of rows [B,H,W,C], the cells under a kernel at each place, zeros outside of the map. */
export function patches(node: Node<"patches">, [x]: readonly Values[]): Float64Array {
  const { kernel, padding, isFlipped } = node.attributes;
  const [batch, height, width, channels] = x!.shape as [number, number, number, number];
  const [, h, w] = node.shape as [number, number, number];
  const [kh, kw] = kernel;
  const out = new Float64Array(product(node.shape));
  for (let cell = 0; cell < batch * h * w; cell++) {
    const [b, y, z] = [Math.floor(cell / (h * w)), Math.floor(cell / w) % h, cell % w];
    for (let tap = 0; tap < kh * kw; tap++) {
      const at = isFlipped ? kh * kw - 1 - tap : tap;
      const [row, column] = [y + Math.floor(at / kw) - padding[0], z + (at % kw) - padding[1]];
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      const from = ((b * height + row) * width + column) * channels;
      out.set(x!.data.subarray(from, from + channels), (cell * kh * kw + tap) * channels);
    }
  }
  return out;
}

/** Visits every product of a convolution by the places of its operands: in the map, the result and the weight. */
function eachTap(
  map: readonly number[],
  result: readonly number[],
  weight: readonly number[],
  { stride, padding: [top, left] }: { readonly stride: number; readonly padding: Padding },
  visit: (from: number, to: number, tap: number) => void,
): void {
  const [batch, channels, height, width] = map as [number, number, number, number];
  const [, outputs, rows, columns] = result as [number, number, number, number];
  const [, , kh, kw] = weight as [number, number, number, number];
  for (let plane = 0; plane < batch * outputs; plane++) {
    const [b, o] = [Math.floor(plane / outputs), plane % outputs];
    for (let i = 0; i < channels * kh * kw; i++) {
      const [c, ky, kx] = [Math.floor(i / (kh * kw)), Math.floor(i / kw) % kh, i % kw];
      for (let cell = 0; cell < rows * columns; cell++) {
        const y = Math.floor(cell / columns) * stride + ky - top;
        const z = (cell % columns) * stride + kx - left;
        if (y < 0 || y >= height || z < 0 || z >= width) continue;
        const from = ((b * channels + c) * height + y) * width + z;
        visit(from, plane * rows * columns + cell, o * channels * kh * kw + i);
      }
    }
  }
}

/** Cross-correlation of plain maps; `shape` is the result's. */
export function convolve(
  x: Values,
  weight: Values,
  bias: Values | undefined,
  shape: readonly number[],
  stride: number,
  padding: Padding,
): Float64Array {
  const padded = pad(x, padding);
  const [, channels, height, width] = padded.shape as [number, number, number, number];
  const [, outputs, rows, columns] = shape as [number, number, number, number];
  const [, , kh, kw] = weight.shape as [number, number, number, number];
  const out = startFromBias(shape, bias);
  for (let plane = 0; plane < out.length / (rows * columns); plane++) {
    const [b, o] = [Math.floor(plane / outputs), plane % outputs];
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < kh * kw; k++) {
        const factor = weight.data[(o * channels + c) * kh * kw + k]!;
        const corner = ((b * channels + c) * height + Math.floor(k / kw)) * width + (k % kw);
        for (let y = 0; y < rows; y++) {
          const from = corner + y * stride * width;
          const to = (plane * rows + y) * columns;
          for (let i = 0; i < columns; i++) {
            out[to + i] = out[to + i]! + factor * padded.data[from + i * stride]!;
          }
        }
      }
    }
  }
  return out;
}

function pad(x: Values, [top, left, bottom, right]: Padding): Values {
  if (top + left + bottom + right === 0) return x;
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const shape = [batch, channels, height + top + bottom, width + left + right];
  const data = new Float64Array(product(shape));
  for (let row = 0; row < batch * channels * height; row++) {
    const plane = Math.floor(row / height);
    const to = (plane * shape[2]! + top + (row % height)) * shape[3]! + left;
    data.set(x.data.subarray(row * width, (row + 1) * width), to);
  }
  return { shape, data };
}

/** A map [B,O,H,W] filled with each channel's bias; channels past the bias start at 0. */
function startFromBias(shape: readonly number[], bias: Values | undefined): Float64Array {
  const [batch, outputs, height, width] = shape as [number, number, number, number];
  const area = height * width;
  const out = new Float64Array(product(shape));
  if (bias === undefined) return out;
  for (let plane = 0; plane < batch * outputs; plane++) {
    out.fill(bias.data[plane % outputs] ?? 0, plane * area, (plane + 1) * area);
  }
  return out;
}
