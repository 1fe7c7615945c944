import { KandinskyError, product } from "../base/mod.ts";
import type { Node } from "../graph/mod.ts";
import { stridesOf } from "../tensor/mod.ts";
import { broadcastStrides, copyView } from "./strided.ts";
import type { Values } from "./values.ts";

export function transpose(node: Node<"transpose">, [x]: readonly Values[]): Float64Array {
  const strides = stridesOf(x!.shape);
  return copyView(
    x!.data,
    0,
    node.shape,
    node.attributes.order.map((axis) => strides[axis]!),
  );
}

export function slice(node: Node<"slice">, [x]: readonly Values[]): Float64Array {
  const { axis, start, step } = node.attributes;
  const strides = stridesOf(x!.shape);
  const from = start * strides[axis]!;
  strides[axis]! *= step;
  return copyView(x!.data, from, node.shape, strides);
}

export function concat(node: Node<"concat">, parts: readonly Values[]): Float64Array {
  const out = new Float64Array(product(node.shape));
  const outer = product(node.shape.slice(0, node.attributes.axis));
  const row = out.length / outer;
  let at = 0;
  for (const { data } of parts) {
    const size = data.length / outer;
    for (let i = 0; i < outer; i++) out.set(data.subarray(i * size, (i + 1) * size), i * row + at);
    at += size;
  }
  return out;
}

/** Each cell of a map [B,C,H,W] becomes factor x factor equal cells. */
export function resizeNearest(node: Node<"resizeNearest">, [x]: readonly Values[]): Float64Array {
  const { factor } = node.attributes;
  const [batch, channels, height, width] = x!.shape as [number, number, number, number];
  return copyView(x!.data, 0, [batch * channels * height, factor, width, factor], [width, 0, 1, 0]);
}

/** Repeats axes of 1, and adds leading ones. */
export function expand(node: Node<"expand">, [x]: readonly Values[]): Float64Array {
  return copyView(x!.data, 0, node.shape, broadcastStrides(x!.shape, node.shape));
}

/** Zeros with the values of x at every step along an axis. */
export function place(node: Node<"place">, [x]: readonly Values[]): Float64Array {
  const { axis, start, step, size } = node.attributes;
  const count = x!.shape[axis]!;
  const inner = product(x!.shape.slice(axis + 1));
  const out = new Float64Array(product(node.shape));
  for (let row = 0; row < x!.data.length / inner; row++) {
    const to = (Math.floor(row / count) * size + start + (row % count) * step) * inner;
    out.set(x!.data.subarray(row * inner, (row + 1) * inner), to);
  }
  return out;
}

/** A table of zeros to whose rows by index the values are added; an index outside of it is an error. */
export function scatterAdd(node: Node<"scatterAdd">, [values, indices]: readonly Values[]): Float64Array {
  const out = new Float64Array(product(node.shape));
  const size = product(node.shape.slice(1));
  indices!.data.forEach((index, i) => {
    checkIndex("cannot scatter", index, node.attributes.rows);
    for (let j = 0; j < size; j++) {
      const to = index * size + j;
      out[to] = out[to]! + values!.data[i * size + j]!;
    }
  });
  return out;
}

/** Rows of a table [N, ...] by index; an index outside 0..N-1 is an error. */
export function gather(_: unknown, [table, indices]: readonly Values[]): Float64Array {
  const size = product(table!.shape.slice(1));
  const rows = table!.shape[0]!;
  const out = new Float64Array(indices!.data.length * size);
  indices!.data.forEach((index, i) => {
    checkIndex("cannot gather", index, rows);
    out.set(table!.data.subarray(index * size, (index + 1) * size), i * size);
  });
  return out;
}

function checkIndex(what: string, index: number, rows: number): void {
  if (index >= 0 && index < rows) return;
  throw new KandinskyError("graph_invalid", { what, seen: `index ${index}`, wanted: `0 to ${rows - 1}` });
}

/** Index of the first smallest element of each last axis. */
export function argmin(_: unknown, [x]: readonly Values[]): Float64Array {
  const size = x!.shape.at(-1)!;
  const out = new Float64Array(x!.data.length / size);
  for (let row = 0; row < out.length; row++) {
    let best = 0;
    for (let i = 1; i < size; i++) if (x!.data[row * size + i]! < x!.data[row * size + best]!) best = i;
    out[row] = best;
  }
  return out;
}

/** Sum over one axis, which goes away. */
export function reduceSum(node: Node<"reduceSum">, [x]: readonly Values[]): Float64Array {
  const { axis } = node.attributes;
  const size = x!.shape[axis]!;
  const inner = product(x!.shape.slice(axis + 1));
  const out = new Float64Array(product(node.shape));
  for (let i = 0; i < x!.data.length; i++) {
    const to = Math.floor(i / (size * inner)) * inner + (i % inner);
    out[to] = out[to]! + x!.data[i]!;
  }
  return out;
}
