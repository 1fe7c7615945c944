import { product } from "../base/mod.ts";
import { type DType, formatShape, type Tensor } from "../tensor/mod.ts";
import {
  axisOf,
  broadcast,
  convolvedSize,
  equalTypes,
  lastAxisAffine,
  positive,
  rank,
  sequence,
  wanted,
} from "./shape-rules.ts";

/** Element type and shape of a value. */
export interface Signature {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Which axis order a sequence has: tokens = [batch, length, channel], channels = [batch, channel, length]. */
export type SequenceLayout = "tokens" | "channels";

/** Zeros added around a map before a convolution: top, left, bottom, right. */
export type Padding = readonly [number, number, number, number];

type None = Readonly<Record<never, never>>;

/**
 * Every operation with its attributes. Maps are [batch, channel, height, width]. A blocked map has the shape
 * of a map and its values in another order, that of [batch, channel / block, height, width, block], in which
 * ONNX Runtime's convolutions work; elementwise operations do not mind the order.
 */
export interface OpAttributes {
  /** A value given at every run. */
  input: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] };
  /** A weight, by its checkpoint key. */
  parameter: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] };
  constant: { readonly value: Tensor };
  add: None;
  sub: None;
  mul: None;
  div: None;
  sin: None;
  cos: None;
  /** x * sigmoid(x). */
  silu: None;
  sigmoid: None;
  sqrt: None;
  abs: None;
  /** -1, 0 or 1. */
  sign: None;
  /** The larger of two values. */
  maximum: None;
  /** The same values, through which no derivative passes. */
  detach: None;
  /** The values of x; what is made of them is computed after the other operand, as recomputation needs it. */
  after: None;
  cast: { readonly dtype: DType };
  /**
   * a [..., m, k] times b [..., k, n], or b [..., n, k] where transposeB is set; a [..., k, m] where transposeA
   * is; leading axes broadcast.
   */
  matmul: { readonly transposeA?: true; readonly transposeB: boolean };
  /** x [B,C,H,W], weight [O,C,kh,kw], bias [O]?; cross-correlation, as in every framework. */
  conv2d: { readonly stride: number; readonly padding: Padding };
  /** x [B,C,H,W], weight [C,O,s,s], bias [O]?; kernel equals stride, so that outputs do not overlap. */
  convTranspose2d: None;
  /**
   * The derivative of a convolution by its map [B,C,height,width]: gradient [B,O,h,w], weight [O,C,kh,kw];
   * stride and padding are those of the convolution.
   */
  conv2dInputGradient: {
    readonly stride: number;
    readonly padding: Padding;
    readonly height: number;
    readonly width: number;
  };
  /**
   * Of rows [B,H,W,C], what a kernel of stride 1 meets at each place: [B,h,w,kh*kw*C], in the order of the
   * kernel, or with its taps turned about.
   */
  patches: {
    readonly kernel: readonly [number, number];
    readonly padding: Padding;
    readonly isFlipped: boolean;
  };
  /** The derivative of a convolution by its weight [O,C,kh,kw], from x [B,C,H,W] and gradient [B,O,h,w]. */
  conv2dWeightGradient: {
    readonly stride: number;
    readonly padding: Padding;
    readonly kernel: readonly [number, number];
  };
  /** Mean and (biased) variance of each group of channels of a map: [B,groups,2]. */
  groupMoments: { readonly groups: number };
  /**
   * x [B,C,H,W], scale and shift both [B or 1,C,h,w]: mean 0 and variance 1 over each group of channels, then
   * times scale plus shift, whose cells each cover H/h x W/w cells of x (one cell: a number a channel).
   * moments [B,groups,2]?: those of a larger map of which x is a part, used instead of x's own.
   */
  groupNorm: { readonly groups: number; readonly epsilon: number };
  /** x [..., C], weight [C], bias [C]: mean 0, variance 1 over the last axis, then affine. */
  layerNorm: { readonly epsilon: number };
  /** x [..., C], weight [C]: divides by the root mean square of the last axis. */
  rmsNorm: { readonly epsilon: number };
  /**
   * softmax(scale * q k + bias) v. The heads split the channels of q, k and v. The bias broadcasts to
   * [batch, heads, queries, keys]. The result has the layout of the queries.
   */
  attention: {
    readonly heads: number;
    readonly scale: number;
    readonly queries: SequenceLayout;
    readonly keys: SequenceLayout;
  };
  /** Of the last axis. */
  softmax: None;
  /** The logarithm of softmax, of the last axis. */
  logSoftmax: None;
  /** Rows of a table [N, ...] by int64 indices; result is indices' shape then the row's. */
  gather: None;
  /** A table [rows, ...]: zeros, to whose rows by int64 indices the values (indices' shape then a row's) are added. */
  scatterAdd: { readonly rows: number };
  /** Index of the smallest element of the last axis, int64. */
  argmin: None;
  /** Sum over one axis, which goes away. */
  reduceSum: { readonly axis: number };
  /** Repeats axes of 1, and adds leading ones, by NumPy's rule. */
  expand: { readonly shape: readonly number[] };
  reshape: { readonly shape: readonly number[] };
  transpose: { readonly order: readonly number[] };
  slice: { readonly axis: number; readonly start: number; readonly end: number; readonly step: number };
  /** Zeros, `size` of them along the axis, with the values of x at start, start + step and so on. */
  place: { readonly axis: number; readonly start: number; readonly step: number; readonly size: number };
  concat: { readonly axis: number };
  /** Each cell of a map becomes factor x factor equal cells. */
  resizeNearest: { readonly factor: number };
  /** A map to a blocked map; the block divides the channels. */
  toBlocked: { readonly block: number };
  /** A blocked map to a map, dropping channels past `channels`: less than a block. */
  fromBlocked: { readonly block: number; readonly channels: number };
  /** A blocked map [B,C,H,W] to a sequence of tokens [B,HW,C]. */
  blockedToTokens: { readonly block: number };
  /** A sequence of tokens [B,HW,C] to a blocked map [B,C,H,W]. */
  tokensToBlocked: { readonly block: number; readonly height: number; readonly width: number };
  /**
   * x blocked [B,C,H,W]; weight [O,C,kh,kw] in the order of [O/block, C/block, kh, kw, block (in), block (out)];
   * bias [O]?; sum?, a blocked map that is added to the result, a blocked map.
   */
  blockedConv2d: { readonly block: number; readonly stride: number; readonly padding: Padding };
  /** groupMoments of a blocked map. */
  blockedGroupMoments: { readonly block: number; readonly groups: number };
  /** groupNorm of a blocked map with blocked scale and shift. */
  blockedGroupNorm: { readonly block: number; readonly groups: number; readonly epsilon: number };
  /**
   * Weights from codes: (code - zero) * scale. codes uint8 [G,K,R]; scales float32 [G,K/block,R]; zeros uint8 as
   * scales?, else `zero` for all. A code is a whole byte, or its low or high half.
   */
  dequantize: { readonly block: number; readonly plane: "bytes" | "low" | "high"; readonly zero: number };
  /**
   * x [...,K] times a rounded matrix [N,K] transposed. codes uint8 [N, K/block, block * bits / 8], with 4 bits the first
   * of each pair in the low half; scales float32 [N, K/block]; zeros uint8 [N, bytes of K/block codes]?, else the middle
   * code for all.
   */
  matmulNBits: { readonly bits: 4 | 8; readonly block: number };
}

export type OpName = keyof OpAttributes;

/** What the table says of one operation. */
export interface OpRule<K extends OpName> {
  /** Fewest and most inputs. */
  readonly arity: readonly [number, number];
  /** Whether a derivative exists; its rule is a column of its own, in `autodiff`. */
  readonly differentiable: boolean;
  /** Element type and shape of the result; throws `graph_invalid` where the inputs do not fit. */
  readonly infer: (inputs: readonly Signature[], attributes: OpAttributes[K]) => Signature;
}

const UNARY = {
  arity: [1, 1],
  differentiable: true,
  infer: ([x]: readonly Signature[]) => x!,
} as const;

const BINARY = {
  arity: [2, 2],
  differentiable: true,
  infer: ([a, b]: readonly Signature[]) => {
    equalTypes(a!, b!);
    return { dtype: a!.dtype, shape: broadcast(a!.shape, b!.shape) };
  },
} as const;

const SOURCE = { arity: [0, 0], differentiable: false } as const;

/** The operations. The interpreter and the ONNX lowering hold their columns, keyed alike. */
export const OPS: { readonly [K in OpName]: OpRule<K> } = {
  input: { ...SOURCE, infer: (_, { dtype, shape }) => ({ dtype, shape }) },
  parameter: { ...SOURCE, infer: (_, { dtype, shape }) => ({ dtype, shape }) },
  constant: { ...SOURCE, infer: (_, { value }) => ({ dtype: value.dtype, shape: value.shape }) },
  add: BINARY,
  sub: BINARY,
  mul: BINARY,
  div: BINARY,
  sin: UNARY,
  cos: UNARY,
  silu: UNARY,
  sigmoid: UNARY,
  sqrt: UNARY,
  abs: UNARY,
  sign: { ...UNARY, differentiable: false },
  maximum: BINARY,
  detach: { ...UNARY, differentiable: false },
  after: { arity: [2, 2], differentiable: true, infer: ([x]) => x! },
  cast: { ...UNARY, infer: ([x], { dtype }) => ({ dtype, shape: x!.shape }) },
  matmul: {
    arity: [2, 2],
    differentiable: true,
    infer: ([a, b], { transposeA, transposeB }) => {
      const least = Math.min(a!.shape.length, b!.shape.length);
      wanted(least >= 2, "at least 2 axes each", `${formatShape(a!.shape)} and ${formatShape(b!.shape)}`);
      equalTypes(a!, b!);
      const [m, k] = transposeA ? a!.shape.slice(-2).reverse() : a!.shape.slice(-2);
      const [rows, columns] = transposeB ? b!.shape.slice(-2).reverse() : b!.shape.slice(-2);
      wanted(k === rows, `inner sizes that agree (${k})`, `${rows}`);
      return {
        dtype: a!.dtype,
        shape: [...broadcast(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), m!, columns!],
      };
    },
  },
  conv2d: {
    arity: [2, 3],
    differentiable: true,
    infer: ([x, weight, bias], { stride, padding }) => {
      const [batch, channels, height, width] = rank(x!, 4);
      const [out, inner, kh, kw] = rank(weight!, 4);
      equalTypes(x!, weight!);
      wanted(channels === inner, `${inner} channels, the weight's`, `${channels}`);
      if (bias) wanted(bias.shape.join() === `${out}`, `a bias of [${out}]`, formatShape(bias.shape));
      const [h, w] = convolvedSize([height!, width!], [kh!, kw!], stride, padding);
      return { dtype: x!.dtype, shape: [batch!, out!, h, w] };
    },
  },
  convTranspose2d: {
    arity: [2, 3],
    differentiable: true,
    infer: ([x, weight, bias]) => {
      const [batch, channels, height, width] = rank(x!, 4);
      const [inner, out, kh, kw] = rank(weight!, 4);
      equalTypes(x!, weight!);
      wanted(channels === inner, `${inner} channels, the weight's`, `${channels}`);
      wanted(kh === kw, "a square kernel", `${kh}x${kw}`);
      if (bias) wanted(bias.shape.join() === `${out}`, `a bias of [${out}]`, formatShape(bias.shape));
      return { dtype: x!.dtype, shape: [batch!, out!, height! * kh!, width! * kw!] };
    },
  },
  conv2dInputGradient: {
    arity: [2, 2],
    differentiable: true,
    infer: ([gradient, weight], { stride, padding, height, width }) => {
      const [batch, channels, ...size] = rank(gradient!, 4);
      const [out, inner, kh, kw] = rank(weight!, 4);
      equalTypes(gradient!, weight!);
      wanted(channels === out, `${out} channels, the weight's`, `${channels}`);
      const made = convolvedSize([height, width], [kh!, kw!], stride, padding);
      wanted(made.join() === size.join(), `a gradient of ${made.join("x")}`, size.join("x"));
      return { dtype: gradient!.dtype, shape: [batch!, inner!, height, width] };
    },
  },
  patches: {
    arity: [1, 1],
    differentiable: false,
    infer: ([x], { kernel, padding }) => {
      const [batch, height, width, channels] = rank(x!, 4);
      const [h, w] = convolvedSize([height!, width!], kernel, 1, padding);
      return { dtype: x!.dtype, shape: [batch!, h, w, kernel[0] * kernel[1] * channels!] };
    },
  },
  conv2dWeightGradient: {
    arity: [2, 2],
    differentiable: true,
    infer: ([x, gradient], { stride, padding, kernel }) => {
      const [batch, channels, height, width] = rank(x!, 4);
      const [rows, out, ...size] = rank(gradient!, 4);
      equalTypes(x!, gradient!);
      wanted(rows === batch, `a batch of ${batch}`, `${rows}`);
      const made = convolvedSize([height!, width!], kernel, stride, padding);
      wanted(made.join() === size.join(), `a gradient of ${made.join("x")}`, size.join("x"));
      return { dtype: x!.dtype, shape: [out!, channels!, ...kernel] };
    },
  },
  groupMoments: { ...UNARY, infer: ([x], { groups }) => momentsOf(x!, groups) },
  groupNorm: {
    arity: [3, 4],
    differentiable: true,
    infer: (inputs, { groups }) => normalised(inputs, groups),
  },
  layerNorm: { arity: [3, 3], differentiable: true, infer: ([x, ...affine]) => lastAxisAffine(x!, affine) },
  rmsNorm: { arity: [2, 2], differentiable: true, infer: ([x, ...affine]) => lastAxisAffine(x!, affine) },
  attention: {
    arity: [3, 4],
    differentiable: true,
    infer: ([q, k, v, bias], { heads, queries, keys }) => {
      const query = sequence(q!, queries);
      const key = sequence(k!, keys);
      const value = sequence(v!, keys);
      wanted(query.channels === key.channels, `${query.channels} key channels`, `${key.channels}`);
      wanted(key.length === value.length, `${key.length} values`, `${value.length}`);
      wanted(query.batch === key.batch, `a key batch of ${query.batch}`, `${key.batch}`);
      wanted(query.batch === value.batch, `a value batch of ${query.batch}`, `${value.batch}`);
      for (const { channels } of [query, value]) {
        wanted(channels % heads === 0, `channels that ${heads} heads divide`, `${channels}`);
      }
      if (bias) {
        const scores = [query.batch, heads, query.length, key.length];
        const fits = broadcast(bias.shape, scores).join() === scores.join();
        wanted(fits, `a bias that broadcasts to ${formatShape(scores)}`, formatShape(bias.shape));
      }
      const shape =
        queries === "tokens"
          ? [query.batch, query.length, value.channels]
          : [query.batch, value.channels, query.length];
      return { dtype: q!.dtype, shape };
    },
  },
  softmax: { ...UNARY, infer: ([x]) => withLastAxis(x!) },
  logSoftmax: { ...UNARY, infer: ([x]) => withLastAxis(x!) },
  gather: {
    arity: [2, 2],
    differentiable: true,
    infer: ([table, indices]) => {
      axisOf(table!, 0);
      wanted(indices!.dtype === "int64", "int64 indices", indices!.dtype);
      return { dtype: table!.dtype, shape: [...indices!.shape, ...table!.shape.slice(1)] };
    },
  },
  scatterAdd: {
    arity: [2, 2],
    differentiable: true,
    infer: ([values, indices], { rows }) => {
      const axes = indices!.shape.length;
      wanted(indices!.dtype === "int64", "int64 indices", indices!.dtype);
      positive(rows, "number of rows");
      const lead = values!.shape.slice(0, axes);
      wanted(
        lead.join() === indices!.shape.join(),
        `leading axes ${formatShape(indices!.shape)}`,
        formatShape(lead),
      );
      return { dtype: values!.dtype, shape: [rows, ...values!.shape.slice(axes)] };
    },
  },
  argmin: {
    arity: [1, 1],
    differentiable: false,
    infer: ([x]) => ({ dtype: "int64", shape: withLastAxis(x!).shape.slice(0, -1) }),
  },
  reduceSum: {
    ...UNARY,
    infer: ([x], { axis }) => {
      axisOf(x!, axis);
      return { dtype: x!.dtype, shape: x!.shape.filter((_, i) => i !== axis) };
    },
  },
  expand: {
    ...UNARY,
    infer: ([x], { shape }) => {
      const fits = broadcast(x!.shape, shape).join() === shape.join();
      wanted(fits, `a shape that ${formatShape(x!.shape)} broadcasts to`, formatShape(shape));
      return { dtype: x!.dtype, shape };
    },
  },
  reshape: {
    ...UNARY,
    infer: ([x], { shape }) => {
      wanted(product(shape) === product(x!.shape), `${product(x!.shape)} elements`, formatShape(shape));
      return { dtype: x!.dtype, shape };
    },
  },
  transpose: {
    ...UNARY,
    infer: ([x], { order }) => {
      const axes = x!.shape.map((_, i) => i).join();
      wanted([...order].sort((a, b) => a - b).join() === axes, `a permutation of ${axes}`, order.join());
      return { dtype: x!.dtype, shape: order.map((axis) => x!.shape[axis]!) };
    },
  },
  slice: {
    ...UNARY,
    infer: ([x], { axis, start, end, step }) => {
      const size = axisOf(x!, axis);
      wanted(0 <= start && start < end && end <= size, `a range inside 0..${size}`, `${start}..${end}`);
      positive(step, "step");
      const shape = x!.shape.map((n, i) => (i === axis ? Math.ceil((end - start) / step) : n));
      return { dtype: x!.dtype, shape };
    },
  },
  place: {
    ...UNARY,
    infer: ([x], { axis, start, step, size }) => {
      const count = axisOf(x!, axis);
      positive(step, "step");
      const last = start + (count - 1) * step;
      wanted(start >= 0 && last < size, `places below ${size}`, `${start}..${last}`);
      return { dtype: x!.dtype, shape: x!.shape.map((n, i) => (i === axis ? size : n)) };
    },
  },
  concat: {
    arity: [1, Number.POSITIVE_INFINITY],
    differentiable: true,
    infer: (parts, { axis }) => {
      const first = parts[0]!;
      axisOf(first, axis);
      for (const part of parts) {
        const fits = part.shape.length === first.shape.length && part.dtype === first.dtype;
        wanted(
          fits && part.shape.every((n, i) => i === axis || n === first.shape[i]),
          `${first.dtype}${formatShape(first.shape)} but for axis ${axis}`,
          `${part.dtype}${formatShape(part.shape)}`,
        );
      }
      const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
      return { dtype: first.dtype, shape: first.shape.map((n, i) => (i === axis ? total : n)) };
    },
  },
  resizeNearest: {
    ...UNARY,
    infer: ([x], { factor }) => {
      const [batch, channels, height, width] = rank(x!, 4);
      positive(factor, "factor");
      return { dtype: x!.dtype, shape: [batch!, channels!, height! * factor, width! * factor] };
    },
  },
  toBlocked: {
    ...UNARY,
    infer: ([x], { block }) => {
      const channels = rank(x!, 4)[1]!;
      wanted(channels % block === 0, `a multiple of ${block} channels`, `${channels}`);
      return x!;
    },
  },
  fromBlocked: {
    ...UNARY,
    infer: ([x], { block, channels }) => {
      const [batch, all, height, width] = rank(x!, 4);
      wanted(
        channels <= all! && channels > all! - block,
        `${all! - block + 1} to ${all} channels`,
        `${channels}`,
      );
      return { dtype: x!.dtype, shape: [batch!, channels, height!, width!] };
    },
  },
  blockedToTokens: {
    ...UNARY,
    infer: ([x]) => {
      const [batch, channels, height, width] = rank(x!, 4);
      return { dtype: x!.dtype, shape: [batch!, height! * width!, channels!] };
    },
  },
  tokensToBlocked: {
    ...UNARY,
    infer: ([x], { block, height, width }) => {
      const [batch, length, channels] = rank(x!, 3);
      wanted(length === height * width, `${height * width} tokens`, `${length}`);
      wanted(channels! % block === 0, `a multiple of ${block} channels`, `${channels}`);
      return { dtype: x!.dtype, shape: [batch!, channels!, height, width] };
    },
  },
  blockedConv2d: {
    arity: [2, 4],
    differentiable: true,
    infer: ([x, weight, bias, sum], { block, stride, padding }) => {
      const [batch, channels, height, width] = rank(x!, 4);
      const [out, inner, kh, kw] = rank(weight!, 4);
      wanted(channels === inner, `${inner} channels, the weight's`, `${channels}`);
      wanted(inner! % block === 0 && out! % block === 0, `multiples of ${block}`, formatShape(weight!.shape));
      if (bias) wanted(bias.shape.join() === `${out}`, `a bias of [${out}]`, formatShape(bias.shape));
      const shape = [batch!, out!, ...convolvedSize([height!, width!], [kh!, kw!], stride, padding)];
      if (sum)
        wanted(sum.shape.join() === shape.join(), `a sum of ${formatShape(shape)}`, formatShape(sum.shape));
      return { dtype: x!.dtype, shape };
    },
  },
  blockedGroupMoments: { ...UNARY, infer: ([x], { groups }) => momentsOf(x!, groups) },
  blockedGroupNorm: {
    arity: [3, 4],
    differentiable: true,
    infer: (inputs, { groups }) => normalised(inputs, groups),
  },
  dequantize: {
    arity: [2, 3],
    differentiable: false,
    infer: ([codes, scales, zeros], { block }) => {
      const [groups, length, lanes] = rank(codes!, 3);
      wanted(codes!.dtype === "uint8", "uint8 codes", codes!.dtype);
      const blocks = [groups, length! / block, lanes].join();
      for (const one of [scales!, ...(zeros ? [zeros] : [])])
        wanted(one.shape.join() === blocks, `[${blocks}]`, formatShape(one.shape));
      return { dtype: scales!.dtype, shape: codes!.shape };
    },
  },
  matmulNBits: {
    arity: [3, 4],
    differentiable: false,
    infer: ([x, codes, scales, zeros], { bits, block }) => {
      const [out, blocks, bytes] = rank(codes!, 3);
      wanted(codes!.dtype === "uint8", "uint8 codes", codes!.dtype);
      const inner = x!.shape.at(-1);
      wanted(inner === blocks! * block, `${blocks! * block} columns`, `${inner}`);
      wanted(bytes === (block * bits) / 8, `${(block * bits) / 8} bytes a block`, `${bytes}`);
      wanted(scales!.shape.join() === `${out},${blocks}`, `[${out},${blocks}]`, formatShape(scales!.shape));
      const packed = `${out},${Math.ceil((blocks! * bits) / 8)}`;
      if (zeros) wanted(zeros.shape.join() === packed, `[${packed}]`, formatShape(zeros.shape));
      return { dtype: x!.dtype, shape: [...x!.shape.slice(0, -1), out!] };
    },
  },
};

function withLastAxis(x: Signature): Signature {
  wanted(x.shape.length > 0, "at least 1 axis", formatShape(x.shape));
  return x;
}

function momentsOf(x: Signature, groups: number): Signature {
  const [batch, channels] = rank(x, 4);
  wanted(channels! % groups === 0, `channels that ${groups} groups divide`, `${channels}`);
  return { dtype: x.dtype, shape: [batch!, groups, 2] };
}

function normalised([x, scale, shift, moments]: readonly Signature[], groups: number): Signature {
  const [batch, channels, height, width] = rank(x!, 4);
  const { shape } = momentsOf(x!, groups);
  if (moments) {
    wanted(
      moments.shape.join() === shape.join(),
      `moments of ${formatShape(shape)}`,
      formatShape(moments.shape),
    );
  }
  const [rows, same, h, w] = rank(scale!, 4);
  const seen = formatShape(scale!.shape);
  wanted(
    (rows === 1 || rows === batch) && same === channels && height! % h! === 0 && width! % w! === 0,
    `[${batch} or 1,${channels},h,w] with h dividing ${height} and w dividing ${width}`,
    seen,
  );
  const shifts = formatShape(shift!.shape);
  wanted(shifts === seen, `a shift of ${seen}, the scale's shape`, shifts);
  return x!;
}
