import { product } from "../base/mod.ts";
import type { Node } from "../graph/mod.ts";
import type { Values } from "./values.ts";

type Plane = Node<"dequantize">["attributes"]["plane"];

const CODE_OF: Readonly<Record<Plane, (byte: number) => number>> = {
  bytes: (byte) => byte,
  low: (byte) => byte & 15,
  high: (byte) => byte >> 4,
};

/** (code - zero) * scale, with one scale for each block along the middle axis. */
export function dequantize(
  node: Node<"dequantize">,
  [codes, scales, zeros]: readonly Values[],
): Float64Array {
  const { block, plane, zero } = node.attributes;
  const [, length, lanes] = node.shape as [number, number, number];
  const blocks = length / block;
  return codes!.data.map((byte, i) => {
    const [group, k, lane] = [Math.floor(i / (length * lanes)), Math.floor(i / lanes) % length, i % lanes];
    const at = (group * blocks + Math.floor(k / block)) * lanes + lane;
    return (CODE_OF[plane](byte) - (zeros?.data[at] ?? zero)) * scales!.data[at]!;
  });
}

/** x times the transposed matrix that the codes stand for. */
export function matmulNBits(
  node: Node<"matmulNBits">,
  [x, codes, scales, zeros]: readonly Values[],
): Float64Array {
  const { bits, block } = node.attributes;
  const [out, blocks, blockBytes] = codes!.shape as [number, number, number];
  const inner = blocks * block;
  const rows = product(x!.shape) / inner;
  const half = (bytes: Float64Array, start: number, i: number) =>
    bits === 8 ? bytes[start + i]! : (bytes[start + (i >> 1)]! >> (4 * (i & 1))) & 15;
  const zeroBytes = zeros?.shape[1] ?? 0;
  const result = new Float64Array(rows * out);
  for (let n = 0; n < out; n++) {
    for (let k = 0; k < inner; k++) {
      const b = Math.floor(k / block);
      const code = half(codes!.data, (n * blocks + b) * blockBytes, k % block);
      const zero = zeros === undefined ? 2 ** (bits - 1) : half(zeros.data, n * zeroBytes, b);
      const weight = (code - zero) * scales!.data[n * blocks + b]!;
      for (let row = 0; row < rows; row++) {
        result[row * out + n] = result[row * out + n]! + x!.data[row * inner + k]! * weight;
      }
    }
  }
  return result;
}
