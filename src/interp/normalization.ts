import type { Node } from "../graph/mod.ts";
import type { Values } from "./values.ts";

/** Mean and (biased) variance of each group of channels of [B,C,H,W], as [B,groups,2]. */
export function groupMoments(
  { shape }: Pick<Node<"groupMoments">, "shape">,
  [x]: readonly Values[],
): Float64Array {
  const [batch, groups] = shape as [number, number];
  const size = x!.data.length / (batch * groups);
  return Float64Array.from({ length: batch * groups * 2 }, (_, i) => {
    const { mean, variance } = momentsOf(x!.data.subarray((i >> 1) * size, ((i >> 1) + 1) * size));
    return i % 2 === 0 ? mean : variance;
  });
}

/**
 * Mean 0 and (biased) variance 1 over each group of channels of [B,C,H,W], or what the moments given make of
 * them, then times scale plus shift, both [B or 1,C,h,w] and spread over cells of H/h x W/w.
 */
export function groupNorm(
  { shape, attributes }: Pick<Node<"groupNorm">, "shape" | "attributes">,
  [x, scale, shift, moments]: readonly Values[],
): Float64Array {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const { groups, epsilon } = attributes;
  const data = moments?.data ?? groupMoments({ shape: [batch, groups, 2] }, [x!]);
  const size = x!.data.length / (batch * groups);
  const at = (operand: Values, b: number, c: number, y: number, z: number) => {
    const [rows, , h, w] = operand.shape as [number, number, number, number];
    const row = rows === 1 ? 0 : b;
    return operand.data[
      ((row * channels + c) * h + Math.floor((y * h) / height)) * w + Math.floor((z * w) / width)
    ]!;
  };
  return x!.data.map((value, i) => {
    const group = Math.floor(i / size);
    const normal = (value - data[2 * group]!) / Math.sqrt(data[2 * group + 1]! + epsilon);
    const z = i % width;
    const y = Math.floor(i / width) % height;
    const c = Math.floor(i / (width * height)) % channels;
    const b = Math.floor(i / (width * height * channels));
    return normal * at(scale!, b, c, y, z) + at(shift!, b, c, y, z);
  });
}

/** Mean 0 and (biased) variance 1 over the last axis, then `* weight + bias`. */
export function layerNorm(node: Node<"layerNorm">, [x, weight, bias]: readonly Values[]): Float64Array {
  const size = weight!.data.length;
  const out = standardize(x!.data, size, node.attributes.epsilon);
  for (let i = 0; i < out.length; i++) out[i] = out[i]! * weight!.data[i % size]! + bias!.data[i % size]!;
  return out;
}

/** `weight * x / sqrt(mean(x^2) + epsilon)` over the last axis. */
export function rmsNorm(node: Node<"rmsNorm">, [x, weight]: readonly Values[]): Float64Array {
  const size = weight!.data.length;
  const out = new Float64Array(x!.data.length);
  for (let at = 0; at < out.length; at += size) {
    let squares = 0;
    for (let i = 0; i < size; i++) squares += x!.data[at + i]! ** 2;
    const scale = 1 / Math.sqrt(squares / size + node.attributes.epsilon);
    for (let i = 0; i < size; i++) out[at + i] = x!.data[at + i]! * scale * weight!.data[i]!;
  }
  return out;
}

/** Mean 0 and variance 1 over each run of `size` values. */
function standardize(x: Float64Array, size: number, epsilon: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += size) {
    const { mean, variance } = momentsOf(x.subarray(at, at + size));
    const scale = 1 / Math.sqrt(variance + epsilon);
    for (let i = at; i < at + size; i++) out[i] = (x[i]! - mean) * scale;
  }
  return out;
}

function momentsOf(x: Float64Array): { mean: number; variance: number } {
  let sum = 0;
  for (const value of x) sum += value;
  const mean = sum / x.length;
  let squares = 0;
  for (const value of x) squares += (value - mean) ** 2;
  return { mean, variance: squares / x.length };
}
