import { float32, tensor } from "../tensor/mod.ts";
import { type LoweringContext, MICROSOFT } from "./lowerings.ts";

/**
 * DequantizeLinear in blocks. The halves of a byte are masked, not shifted: what is left of the high one is 16 times the
 * code, which a 16th of the scale takes back exactly.
 */
export function lowerDequantize({ emit, graph, node, inputs }: LoweringContext<"dequantize">): string {
  const { block, plane, zero } = node.attributes;
  const [codes, scales, zeros] = inputs as [string, string, string | undefined];
  const byte = (value: number) => emit.constant(tensor("uint8", [1, 1, 1], Uint8Array.of(value)));
  const shape = emit.integers(graph.nodes[node.inputs[1]!]!.shape);
  const factor = plane === "high" ? 16 : 1;
  const masked = plane === "bytes" ? codes : emit.emit("BitwiseAnd", [codes, byte(15 * factor)]);
  const steps = factor === 1 ? scales : emit.emit("Mul", [scales, emit.constant(float32([], [1 / factor]))]);
  const scaledZeros = () =>
    factor === 1 ? zeros! : emit.emit("BitShift", [zeros!, byte(4)], { direction: { string: "LEFT" } });
  const zeroPoints = zeros === undefined ? emit.emit("Expand", [byte(zero * factor), shape]) : scaledZeros();
  return emit.emit("DequantizeLinear", [masked, steps, zeroPoints], {
    axis: { int: 1 },
    block_size: { int: block },
  });
}

/**
 * How much of the sums may be in integers, by measurement on AVX-512: with 8 bits the product in float32 is five times
 * slower, with 4 bits it is as fast, and rounds nothing.
 */
const ACCURACY_LEVEL = { 4: 0, 8: 4 } as const;

export function lowerMatmulNBits({ emit, graph, node, inputs }: LoweringContext<"matmulNBits">): string {
  const { bits, block } = node.attributes;
  const [out, blocks] = graph.nodes[node.inputs[1]!]!.shape as [number, number];
  return emit.emit(`${MICROSOFT}:MatMulNBits`, inputs, {
    K: { int: blocks * block },
    N: { int: out },
    bits: { int: bits },
    block_size: { int: block },
    accuracy_level: { int: ACCURACY_LEVEL[bits] },
  });
}
