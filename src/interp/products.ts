import { product } from "../base/mod.ts";
import { type Node, type SequenceLayout, sequence } from "../graph/mod.ts";
import { broadcastStrides, copyView } from "./strided.ts";
import type { Values } from "./values.ts";

/** a [..., m, k] times b [..., k, n], or their transpositions as the attributes say; leading axes broadcast. */
export function matmul(node: Node<"matmul">, [a, b]: readonly Values[]): Float64Array {
  const lead = node.shape.slice(0, -2);
  const [m, n] = node.shape.slice(-2) as [number, number];
  const { transposeA } = node.attributes;
  const k = a!.shape.at(transposeA ? -2 : -1)!;
  const rows = transposeA ? transposeMatrices(a!.data, k, m) : a!.data;
  const columns = node.attributes.transposeB ? b!.data : transposeMatrices(b!.data, k, n);
  const startsA = matrixStarts(a!.shape, lead);
  const startsB = matrixStarts(b!.shape, lead);
  const out = new Float64Array(product(node.shape));
  for (let at = 0; at < startsA.length; at++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        out[(at * m + i) * n + j] = dot(rows, startsA[at]! + i * k, columns, startsB[at]! + j * k, k);
      }
    }
  }
  return out;
}

/** softmax(scale * q k + bias) v in every head; a bias of -Infinity hides a key. */
export function attention(node: Node<"attention">, [q, k, v, bias]: readonly Values[]): Float64Array {
  const { heads, scale, queries, keys } = node.attributes;
  const query = tokens(q!, queries);
  const key = tokens(k!, keys);
  const value = tokens(v!, keys);
  const depth = query.channels / heads;
  const width = value.channels / heads;
  const scoreShape = [query.batch, heads, query.length, key.length];
  const biases = bias && copyView(bias.data, 0, scoreShape, broadcastStrides(bias.shape, scoreShape));
  const out = new Float64Array(query.batch * query.length * value.channels);
  const weights = new Float64Array(key.length);
  for (let b = 0; b < query.batch; b++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < query.length; i++) {
        const row = b * query.length + i;
        const score = ((b * heads + head) * query.length + i) * key.length;
        for (let j = 0; j < key.length; j++) {
          const from = (b * key.length + j) * key.channels + head * depth;
          const similarity = dot(query.data, row * query.channels + head * depth, key.data, from, depth);
          weights[j] = scale * similarity + (biases?.[score + j] ?? 0);
        }
        softmaxRow(weights);
        const to = row * value.channels + head * width;
        for (let j = 0; j < key.length; j++) {
          const from = (b * key.length + j) * value.channels + head * width;
          for (let c = 0; c < width; c++) out[to + c] = out[to + c]! + weights[j]! * value.data[from + c]!;
        }
      }
    }
  }
  return queries === "tokens" ? out : transposeMatrices(out, query.length, value.channels);
}

/** A sequence of either layout as [batch, length, channel]. */
function tokens({ shape, data }: Values, layout: SequenceLayout) {
  const sizes = sequence({ dtype: "float64", shape }, layout);
  return {
    ...sizes,
    data: layout === "tokens" ? data : transposeMatrices(data, sizes.channels, sizes.length),
  };
}

/** Transposes every [rows, columns] matrix of a row-major stack. */
function transposeMatrices(data: Float64Array, rows: number, columns: number): Float64Array {
  const size = rows * columns;
  return copyView(data, 0, [data.length / size, columns, rows], [size, 1, columns]);
}

/** Where the matrix of each broadcast leading index starts. */
function matrixStarts(shape: readonly number[], lead: readonly number[]): Float64Array {
  const count = product(shape.slice(0, -2));
  const size = product(shape.slice(-2));
  const starts = Float64Array.from({ length: count }, (_, i) => i * size);
  return copyView(starts, 0, lead, broadcastStrides(shape.slice(0, -2), lead));
}

/** Of each last axis. */
export function softmax(_: unknown, [x]: readonly Values[]): Float64Array {
  return eachRow(x!, softmaxRow);
}

/** The logarithm of softmax, of each last axis. */
export function logSoftmax(_: unknown, [x]: readonly Values[]): Float64Array {
  return eachRow(x!, (row) => {
    const most = row.reduce((a, b) => Math.max(a, b));
    const sum = row.reduce((total, value) => total + Math.exp(value - most), 0);
    for (let i = 0; i < row.length; i++) row[i] = row[i]! - most - Math.log(sum);
  });
}

function eachRow({ shape, data }: Values, change: (row: Float64Array) => void): Float64Array {
  const out = data.slice();
  const size = shape.at(-1)!;
  for (let at = 0; at < out.length; at += size) change(out.subarray(at, at + size));
  return out;
}

function softmaxRow(row: Float64Array): void {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of row) most = Math.max(most, value);
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    row[i] = Math.exp(row[i]! - most);
    sum += row[i]!;
  }
  for (let i = 0; i < row.length; i++) row[i] = row[i]! / sum;
}

function dot(a: Float64Array, aAt: number, b: Float64Array, bAt: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aAt + i]! * b[bAt + i]!;
  return sum;
}
