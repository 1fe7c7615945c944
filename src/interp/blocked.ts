import { product } from "../base/mod.ts";
import type { Node } from "../graph/mod.ts";
import { convolve } from "./convolution.ts";
import { groupMoments, groupNorm } from "./normalization.ts";
import { copyView } from "./strided.ts";
import type { Values } from "./values.ts";

/** A map's values in the order of [B, C/block, H, W, block]. */
export function toBlocked(node: Node<"toBlocked">, [x]: readonly Values[]): Float64Array {
  return block(x!, node.attributes.block);
}

/** A blocked map's values in the order of [B,C,H,W], without the channels past the node's. */
export function fromBlocked(node: Node<"fromBlocked">, [x]: readonly Values[]): Float64Array {
  const [batch, channels] = node.shape as [number, number];
  const plain = unblock(x!, node.attributes.block);
  const area = product(node.shape.slice(2));
  return copyView(plain.data, 0, [batch, channels * area], [x!.shape[1]! * area, 1]);
}

/** A blocked map's values in the order of [B,H,W,C]. */
export function blockedToTokens(node: Node<"blockedToTokens">, [x]: readonly Values[]): Float64Array {
  const [batch, length, channels] = node.shape as [number, number, number];
  const { data } = unblock(x!, node.attributes.block);
  return copyView(data, 0, [batch, length, channels], [channels * length, 1, length]);
}

export function tokensToBlocked(node: Node<"tokensToBlocked">, [x]: readonly Values[]): Float64Array {
  const [batch, length, channels] = x!.shape as [number, number, number];
  const data = copyView(x!.data, 0, [batch, channels, length], [channels * length, 1, channels]);
  return block({ shape: node.shape, data }, node.attributes.block);
}

/** conv2d on blocked maps with a blocked weight, plus a blocked sum. */
export function blockedConv2d(
  node: Node<"blockedConv2d">,
  [x, weight, bias, sum]: readonly Values[],
): Float64Array {
  const { block: size, stride, padding } = node.attributes;
  const out = convolve(unblock(x!, size), unblockWeight(weight!, size), bias, node.shape, stride, padding);
  const data = block({ shape: node.shape, data: out }, size);
  if (sum) for (let i = 0; i < data.length; i++) data[i] = data[i]! + sum.data[i]!;
  return data;
}

export function blockedGroupMoments(node: Node<"blockedGroupMoments">, [x]: readonly Values[]): Float64Array {
  return groupMoments(node, [unblock(x!, node.attributes.block)]);
}

export function blockedGroupNorm(
  node: Node<"blockedGroupNorm">,
  [x, scale, shift, moments]: readonly Values[],
): Float64Array {
  const { block: size } = node.attributes;
  const plain = [x!, scale!, shift!].map((map) => unblock(map, size));
  const out = groupNorm(node, moments ? [...plain, moments] : plain);
  return block({ shape: node.shape, data: out }, size);
}

function block({ shape, data }: Values, size: number): Float64Array {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  return copyView(data, 0, [(batch * channels) / size, area, size], [size * area, 1, area]);
}

function unblock({ shape, data }: Values, size: number): Values {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  return { shape, data: copyView(data, 0, [(batch * channels) / size, size, area], [size * area, 1, size]) };
}

/** From the order of [O/block, C/block, kh, kw, block in, block out] to that of [O,C,kh,kw]. */
function unblockWeight({ shape, data }: Values, size: number): Values {
  const [outer, inner, kh, kw] = shape as [number, number, number, number];
  const area = kh * kw;
  const square = size * size;
  const strides = [inner * size * area, 1, area * square, size, square];
  return { shape, data: copyView(data, 0, [outer / size, size, inner / size, size, area], strides) };
}
