import { product } from "../base/mod.ts";
import {
  add,
  attention,
  buildGraph,
  concat,
  conv2dInputGradient,
  conv2dWeightGradient,
  convTranspose2d,
  type Graph,
  type GraphBuilder,
  groupMoments,
  logSoftmax,
  matmul,
  mul,
  OPS,
  type OpName,
  type Padding,
  resizeNearest,
  type SequenceLayout,
  scatterAdd,
  softmax,
  type Value,
} from "../graph/mod.ts";
import { type DType, float32, type Tensor, tensor } from "../tensor/mod.ts";

/** Operations that compute something: all but the sources of values. */
export type ComputingOp = Exclude<OpName, "input" | "parameter" | "constant">;

/** A graph with one result, `result`, and values for its inputs. */
export interface RandomCase {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/**
 * A small graph around one operation, the same for the same seed, with float32 inputs between -2 and 2.
 * Blocked maps exist only inside the graph, as in real ones. `block` must be the runtime's own block.
 */
export function randomCase(op: ComputingOp, seed: number, block = 16): RandomCase {
  const feeds: Record<string, Tensor> = {};
  const graph = buildGraph((builder) => ({ result: CASES[op](makeDraw(builder, feeds, seed, block)) }));
  return { graph, feeds };
}

/** Source of everything random in a case. */
interface Draw {
  readonly builder: GraphBuilder;
  readonly block: number;
  /** A whole number, both ends included. */
  int(low: number, high: number): number;
  pick<T>(choices: readonly T[]): T;
  /** The choices in turn as the seed goes up, so that a few seeds meet each. */
  turn<T>(choices: readonly T[]): T;
  /** `rank` axes of 1 to 6. */
  shape(rank: number): number[];
  /** A new float32 input. */
  floats(shape: readonly number[]): Value;
  /** A new int64 input of values below `limit`. */
  indices(shape: readonly number[], limit: number): Value;
  /** A new uint8 input of values below `limit`. */
  bytes(shape: readonly number[], limit?: number): Value;
}

function makeDraw(builder: GraphBuilder, feeds: Record<string, Tensor>, seed: number, block: number): Draw {
  let state = seed;
  // Mulberry32: small, and good enough to choose shapes.
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (low: number, high: number) => low + Math.floor(uniform() * (high - low + 1));
  const feed = (value: Tensor) => {
    const name = `x${Object.keys(feeds).length}`;
    feeds[name] = value;
    return builder.input(name, value.dtype, value.shape);
  };
  return {
    builder,
    block,
    int,
    pick: (choices) => choices[int(0, choices.length - 1)]!,
    turn: (choices) => choices[seed % choices.length]!,
    shape: (rank) => Array.from({ length: rank }, () => int(1, 6)),
    floats: (shape) =>
      feed(
        float32(
          shape,
          Float32Array.from({ length: product(shape) }, () => uniform() * 4 - 2),
        ),
      ),
    bytes: (shape, limit = 256) =>
      feed(
        tensor(
          "uint8",
          shape,
          Uint8Array.from({ length: product(shape) }, () => int(0, limit - 1)),
        ),
      ),
    indices: (shape, limit) => {
      const data = BigInt64Array.from({ length: product(shape) }, () => BigInt(int(0, limit - 1)));
      return feed(tensor("int64", shape, data));
    },
  };
}

const CASES: { readonly [K in ComputingOp]: (draw: Draw) => Value } = {
  add: (draw) => draw.builder.apply("add", broadcasting(draw), {}),
  sub: (draw) => draw.builder.apply("sub", broadcasting(draw), {}),
  mul: (draw) => draw.builder.apply("mul", broadcasting(draw), {}),
  div: (draw) => {
    const [a, b] = broadcasting(draw);
    const { builder } = draw;
    // b * b + 1 keeps away from a division by almost nothing.
    const square = builder.apply("mul", [b, b], {});
    const one = builder.constant(float32([], [1]));
    return builder.apply("div", [a, builder.apply("add", [square, one], {})], {});
  },
  sin: (draw) => draw.builder.apply("sin", [anyFloats(draw)], {}),
  cos: (draw) => draw.builder.apply("cos", [anyFloats(draw)], {}),
  silu: (draw) => draw.builder.apply("silu", [anyFloats(draw)], {}),
  sigmoid: (draw) => draw.builder.apply("sigmoid", [anyFloats(draw)], {}),
  sqrt: (draw) => {
    const x = anyFloats(draw);
    return draw.builder.apply("sqrt", [add(mul(x, x), 0.1)], {});
  },
  abs: (draw) => draw.builder.apply("abs", [anyFloats(draw)], {}),
  sign: (draw) => draw.builder.apply("sign", [anyFloats(draw)], {}),
  maximum: (draw) => draw.builder.apply("maximum", broadcasting(draw), {}),
  detach: (draw) => draw.builder.apply("detach", [anyFloats(draw)], {}),
  after: (draw) => draw.builder.apply("after", [anyFloats(draw), anyFloats(draw)], {}),
  cast: (draw) => {
    const dtype = draw.pick<DType>(["float16", "float64", "int64", "int32"]);
    return draw.builder.apply("cast", [anyFloats(draw)], { dtype });
  },
  matmul: (draw) => {
    const [m, k, n] = [draw.int(1, 9), draw.int(1, 40), draw.int(1, 9)];
    const transposeB = draw.pick([false, true]);
    const [leadA, leadB] = broadcastingShapes(draw, draw.int(0, 2));
    const b = draw.floats([...draw.pick([leadB, []]), ...(transposeB ? [n, k] : [k, n])]);
    const transposeA = draw.turn([false, false, false, true]);
    const a = draw.floats([...leadA, ...(transposeA ? [k, m] : [m, k])]);
    return matmul(a, b, { transposeA, transposeB });
  },
  conv2d: (draw) => {
    const { channels, out, size, kernel, attributes } = convolution(draw);
    const inputs = [
      draw.floats([draw.int(1, 2), channels, ...size]),
      draw.floats([out, channels, ...kernel]),
    ];
    if (draw.pick([false, true])) inputs.push(draw.floats([out]));
    return draw.builder.apply("conv2d", inputs, attributes);
  },
  convTranspose2d: (draw) => {
    const [channels, out, kernel] = [draw.int(1, 9), draw.int(1, 9), draw.int(1, 3)];
    const x = draw.floats([draw.int(1, 2), channels, draw.int(1, 5), draw.int(1, 5)]);
    const weight = draw.floats([channels, out, kernel, kernel]);
    return convTranspose2d(x, weight, draw.pick([false, true]) ? draw.floats([out]) : undefined);
  },
  conv2dInputGradient: (draw) => {
    const { channels, out, size, kernel, attributes } = convolution(draw);
    const [x, weight] = [
      [draw.int(1, 2), channels, ...size],
      [out, channels, ...kernel],
    ] as const;
    const operands = [x, weight].map((shape) => ({ dtype: "float32", shape }) as const);
    const gradient = draw.floats(OPS.conv2d.infer(operands, attributes).shape);
    const [height, width] = size;
    return conv2dInputGradient(gradient, draw.floats(weight), { ...attributes, height, width });
  },
  conv2dWeightGradient: (draw) => {
    const { channels, out, size, kernel, attributes } = convolution(draw);
    const x = draw.floats([draw.int(1, 3), channels, ...size]);
    const weight = { dtype: "float32", shape: [out, channels, ...kernel] } as const;
    const gradient = draw.floats(OPS.conv2d.infer([x, weight], attributes).shape);
    return conv2dWeightGradient(x, gradient, { ...attributes, kernel });
  },
  patches: (draw) => {
    const { size, kernel, attributes } = convolution(draw);
    const x = draw.floats([draw.int(1, 2), ...size, draw.int(1, 5)]);
    const { padding } = attributes;
    return draw.builder.apply("patches", [x], { kernel, padding, isFlipped: draw.turn([false, true]) });
  },
  groupMoments: (draw) => {
    const groups = draw.int(1, 4);
    return groupMoments(draw.floats(normedMap(draw, groups * draw.int(1, 4), 1).x), groups);
  },
  groupNorm: (draw) => {
    const groups = draw.int(1, 4);
    const { x, cells } = normedMap(draw, groups * draw.int(1, 4), draw.pick([1, 2, 6]));
    const attributes = { groups, epsilon: draw.pick([1e-5, 1e-6]) };
    const operands = [x, cells, cells].map((shape) => draw.floats(shape));
    return draw.builder.apply("groupNorm", [...operands, ...otherMoments(draw, x, groups)], attributes);
  },
  layerNorm: (draw) => {
    const size = draw.int(2, 40);
    const affine = [draw.floats([size]), draw.floats([size])];
    const x = draw.floats([...draw.shape(draw.int(1, 3)), size]);
    return draw.builder.apply("layerNorm", [x, ...affine], { epsilon: 1e-5 });
  },
  rmsNorm: (draw) => {
    const size = draw.int(2, 40);
    const x = draw.floats([...draw.shape(draw.int(1, 3)), size]);
    return draw.builder.apply("rmsNorm", [x, draw.floats([size])], { epsilon: 1e-6 });
  },
  attention: (draw) => {
    const [batch, heads, length, others] = [draw.int(1, 2), draw.int(1, 3), draw.int(1, 6), draw.int(1, 9)];
    const [depth, width] = [heads * draw.int(1, 8), heads * draw.int(1, 8)];
    const [queries, keys] = [draw.pick(LAYOUTS), draw.pick(LAYOUTS)];
    const put = (size: number, channels: number, layout: SequenceLayout) =>
      draw.floats(layout === "tokens" ? [batch, size, channels] : [batch, channels, size]);
    const [q, k, v] = [put(length, depth, queries), put(others, depth, keys), put(others, width, keys)];
    const biasShape = draw.pick([undefined, [batch, 1, 1, others], [1, heads, length, others]]);
    const bias = biasShape && draw.floats(biasShape);
    return attention(q, k, v, bias, { heads, scale: draw.pick([1, 0.35]), queries, keys });
  },
  softmax: (draw) => softmax(draw.floats(draw.shape(draw.int(1, 4)))),
  logSoftmax: (draw) => logSoftmax(draw.floats(draw.shape(draw.int(1, 4)))),
  scatterAdd: (draw) => {
    const [rows, lead] = [draw.int(1, 9), draw.shape(draw.int(0, 2))];
    const values = draw.floats([...lead, ...draw.shape(draw.int(0, 2))]);
    return scatterAdd(values, draw.indices(lead, rows), rows);
  },
  gather: (draw) => {
    const rows = draw.int(1, 9);
    const table = draw.floats([rows, ...draw.shape(draw.int(0, 2))]);
    return draw.builder.apply("gather", [table, draw.indices(draw.shape(draw.int(0, 2)), rows)], {});
  },
  argmin: (draw) => draw.builder.apply("argmin", [draw.floats(draw.shape(draw.int(1, 4)))], {}),
  reduceSum: (draw) => {
    const shape = draw.shape(draw.int(1, 4));
    return draw.builder.apply("reduceSum", [draw.floats(shape)], { axis: draw.int(0, shape.length - 1) });
  },
  expand: (draw) => {
    const shape = draw.shape(draw.int(1, 4));
    const thin = shape.map((n) => (draw.int(0, 1) === 0 ? 1 : n)).slice(draw.int(0, shape.length));
    return draw.builder.apply("expand", [draw.floats(thin)], { shape });
  },
  reshape: (draw) => {
    const [a, b, c] = [draw.int(1, 6), draw.int(1, 6), draw.int(1, 6)];
    const shape = draw.pick([[a * b * c], [b, 1, c * a], [c, a, b]]);
    return draw.builder.apply("reshape", [draw.floats([a, b * c])], { shape });
  },
  transpose: (draw) => {
    const x = draw.floats(draw.shape(draw.int(1, 5)));
    const left = x.shape.map((_, axis) => axis);
    const order = x.shape.map(() => left.splice(draw.int(0, left.length - 1), 1)[0]!);
    return draw.builder.apply("transpose", [x], { order });
  },
  slice: (draw) => {
    const x = draw.floats(draw.shape(draw.int(1, 4)));
    const axis = draw.int(0, x.shape.length - 1);
    const start = draw.int(0, x.shape[axis]! - 1);
    const end = draw.int(start + 1, x.shape[axis]!);
    return draw.builder.apply("slice", [x], { axis, start, end, step: draw.int(1, 3) });
  },
  place: (draw) => {
    const x = draw.floats(draw.shape(draw.int(1, 4)));
    const [axis, start, step] = [draw.int(0, x.shape.length - 1), draw.int(0, 3), draw.int(1, 3)];
    const size = start + (x.shape[axis]! - 1) * step + 1 + draw.int(0, 3);
    return draw.builder.apply("place", [x], { axis, start, step, size });
  },
  concat: (draw) => {
    const shape = draw.shape(draw.int(1, 4));
    const axis = draw.int(0, shape.length - 1);
    const parts = Array.from({ length: draw.int(2, 4) }, () => draw.floats(shape.with(axis, draw.int(1, 6))));
    return concat(parts, axis);
  },
  resizeNearest: (draw) => resizeNearest(draw.floats(draw.shape(4)), draw.int(2, 4)),
  toBlocked: (draw) => toBlocked(draw, anyBlocks(draw)),
  fromBlocked: (draw) => {
    const x = toBlocked(draw, anyBlocks(draw));
    return fromBlocked(draw, x, x.shape[1]! - draw.int(0, draw.block - 1));
  },
  blockedToTokens: (draw) => {
    const { builder, block } = draw;
    return builder.apply("blockedToTokens", [toBlocked(draw, anyBlocks(draw))], { block });
  },
  tokensToBlocked: (draw) => {
    const [height, width] = [draw.int(1, 6), draw.int(1, 6)];
    const x = draw.floats([draw.int(1, 2), height * width, draw.block * draw.int(1, 3)]);
    const attributes = { block: draw.block, height, width };
    return fromBlocked(draw, draw.builder.apply("tokensToBlocked", [x], attributes));
  },
  blockedConv2d: (draw) => {
    const { size, kernel, attributes } = convolution(draw);
    const { block, builder } = draw;
    const [inner, outer] = [block * draw.int(1, 3), block * draw.int(1, 3)];
    const x = draw.floats([draw.int(1, 2), inner, ...size]);
    const inputs = [toBlocked(draw, x), draw.floats([outer, inner, ...kernel])];
    const extra = draw.turn(["neither", "bias", "bias and sum"]);
    if (extra !== "neither") inputs.push(draw.floats([outer]));
    const { shape } = OPS.blockedConv2d.infer(inputs, { block, ...attributes });
    if (extra === "bias and sum") inputs.push(toBlocked(draw, draw.floats(shape)));
    return fromBlocked(draw, builder.apply("blockedConv2d", inputs, { block, ...attributes }));
  },
  blockedGroupMoments: (draw) => {
    const { builder, block } = draw;
    const x = toBlocked(draw, draw.floats(normedMap(draw, block * draw.int(1, 3), draw.pick([1, 3])).x));
    return builder.apply("blockedGroupMoments", [x], { block, groups: draw.pick([1, 2, 4]) });
  },
  blockedGroupNorm: (draw) => {
    const { builder, block } = draw;
    const channels = block * draw.int(1, 3);
    // The lowering treats maps from 131072 values on in another way; these have 4 x 4 cells or more.
    const scale = draw.turn([1, Math.ceil(Math.sqrt(131072 / (16 * channels))), 1, 3]);
    const { x, cells } = normedMap(draw, channels, scale);
    const groups = draw.pick([1, 2, 4]);
    const operands = [x, cells, cells].map((shape) => toBlocked(draw, draw.floats(shape)));
    const attributes = { block, groups, epsilon: draw.pick([1e-5, 1e-6]) };
    const inputs = [...operands, ...otherMoments(draw, x, groups)];
    return fromBlocked(draw, builder.apply("blockedGroupNorm", inputs, attributes));
  },
  dequantize: (draw) => {
    const [groups, lanes, blocks] = [draw.int(1, 4), draw.pick([1, 8, 16]), draw.int(1, 3)];
    const block = draw.pick([32, 64, 128]);
    const plane = draw.turn(["bytes", "low", "high"] as const);
    const inputs = [draw.bytes([groups, blocks * block, lanes]), draw.floats([groups, blocks, lanes])];
    const highest = plane === "bytes" ? 256 : 16;
    if (draw.turn([false, false, false, true, true, true]))
      inputs.push(draw.bytes([groups, blocks, lanes], highest));
    return draw.builder.apply("dequantize", inputs, { block, plane, zero: highest / 2 });
  },
  matmulNBits: (draw) => {
    const [out, blocks, block] = [16 * draw.int(1, 3), draw.int(1, 3), draw.pick([32, 64, 128])];
    const bits = draw.turn([4, 8] as const);
    const x = draw.floats([draw.int(1, 2), draw.int(1, 9), blocks * block]);
    const inputs = [x, draw.bytes([out, blocks, (block * bits) / 8]), draw.floats([out, blocks])];
    if (draw.turn([false, false, true, true])) inputs.push(draw.bytes([out, Math.ceil((blocks * bits) / 8)]));
    return draw.builder.apply("matmulNBits", inputs, { bits, block });
  },
};

export const COMPUTING_OPS = Object.keys(CASES) as readonly ComputingOp[];

const LAYOUTS: readonly SequenceLayout[] = ["tokens", "channels"];

function toBlocked({ builder, block }: Draw, x: Value): Value {
  return builder.apply("toBlocked", [x], { block });
}

function fromBlocked({ builder, block }: Draw, x: Value, channels = x.shape[1]!): Value {
  return builder.apply("fromBlocked", [x], { block, channels });
}

/** A map whose channels the block divides. */
function anyBlocks(draw: Draw): Value {
  return draw.floats([draw.int(1, 2), draw.block * draw.int(1, 3), draw.int(1, 6), draw.int(1, 6)]);
}

/** For every other five seeds the moments of another map, as a norm's last operand. */
function otherMoments(draw: Draw, map: readonly number[], groups: number): Value[] {
  const given = draw.turn([false, false, false, false, false, true, true, true, true, true]);
  return given ? [groupMoments(draw.floats([map[0]!, map[1]!, 2, 3]), groups)] : [];
}

/** Shapes of a map, at least 4 * `scale` cells wide and high, and of a scale and shift that fit it. */
function normedMap(draw: Draw, channels: number, scale: number) {
  const [batch, height, width] = [draw.int(1, 2), draw.int(4, 6), draw.int(4, 6)];
  const [h, w] = draw.turn([
    [1, 1],
    [1, 1],
    [height, width],
    [1, width],
    [height * scale, width * scale],
  ] as const);
  return {
    x: [batch, channels, height * scale, width * scale],
    cells: [draw.turn([batch, 1, 1]), channels, h, w],
  };
}

function anyFloats(draw: Draw): Value {
  return draw.floats(draw.shape(draw.int(0, 4)));
}

function broadcasting(draw: Draw): [Value, Value] {
  const [a, b] = broadcastingShapes(draw, draw.int(0, 4));
  return [draw.floats(a), draw.floats(b)];
}

/** Two shapes that broadcast: some axes of 1, and one of the two may lack leading axes. */
function broadcastingShapes(draw: Draw, rank: number): [number[], number[]] {
  const full = draw.shape(rank);
  const thin = () => full.map((n) => (draw.int(0, 3) === 0 ? 1 : n));
  return draw.pick([
    [thin(), thin().slice(draw.int(0, rank))],
    [thin().slice(draw.int(0, rank)), thin()],
  ]);
}

/** A convolution whose kernel fits: no padding reaches the kernel's size, as everywhere in the models. */
function convolution(draw: Draw) {
  const kernel = [draw.int(1, 3), draw.int(1, 3)] as const;
  const [kh, kw] = kernel;
  const border = (size: number) => draw.int(0, size - 1);
  const padding: Padding = [border(kh), border(kw), border(kh), border(kw)];
  return {
    channels: draw.int(1, 9),
    out: draw.int(1, 9),
    size: [draw.int(3, 8), draw.int(3, 8)] as const,
    kernel,
    attributes: { stride: draw.int(1, 2), padding },
  };
}
