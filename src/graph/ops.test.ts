import { expect, test } from "vitest";
import type { DType } from "../tensor/mod.ts";
import { broadcast, buildGraph, GraphBuilder, OPS, type OpAttributes, type OpName, sequence } from "./mod.ts";
import { failure } from "./test-support.ts";

type Operand = readonly [DType, ...number[]];
type ShapeCase = {
  [K in OpName]: readonly [op: K, operands: readonly Operand[], attributes: OpAttributes[K], result: string];
}[OpName];

const f = (...shape: number[]): Operand => ["float32", ...shape];
const bytes = (...shape: number[]): Operand => ["uint8", ...shape];
const heads = { heads: 2, scale: 1, queries: "tokens", keys: "tokens" } as const;
const norm = { groups: 3, epsilon: 0 } as const;
const plain = { stride: 1, padding: [0, 0, 0, 0] } as const;

/** Applies an operation to inputs named a, b, c, ...; returns the result's type and shape in words. */
function apply([op, operands, attributes]: readonly [
  OpName,
  readonly Operand[],
  unknown,
  ...unknown[],
]): string {
  const graph = buildGraph((builder) => {
    const inputs = operands.map(([dtype, ...shape], i) => builder.input("abcde"[i]!, dtype, shape));
    return { y: builder.apply(op, inputs, attributes as never) };
  });
  const { dtype, shape } = graph.nodes[graph.outputs.get("y")!]!;
  return `${dtype}[${shape}]`;
}

const GOOD: readonly ShapeCase[] = [
  ["add", [f(2, 1, 4), f(3, 1)], {}, "float32[2,3,4]"],
  ["sub", [f(), f(2)], {}, "float32[2]"],
  ["mul", [f(1, 0), f(3, 1)], {}, "float32[3,0]"],
  [
    "div",
    [
      ["float16", 2],
      ["float16", 2],
    ],
    {},
    "float16[2]",
  ],
  ["sin", [f(2, 3)], {}, "float32[2,3]"],
  ["cos", [f(2, 3)], {}, "float32[2,3]"],
  ["silu", [f(2, 3)], {}, "float32[2,3]"],
  ["cast", [f(2, 3)], { dtype: "int64" }, "int64[2,3]"],
  ["sigmoid", [f(2, 3)], {}, "float32[2,3]"],
  ["sqrt", [f(2, 3)], {}, "float32[2,3]"],
  ["abs", [f(2, 3)], {}, "float32[2,3]"],
  ["sign", [f(2, 3)], {}, "float32[2,3]"],
  ["detach", [f(2, 3)], {}, "float32[2,3]"],
  ["after", [f(2, 3), f(5)], {}, "float32[2,3]"],
  ["maximum", [f(2, 1), f(3)], {}, "float32[2,3]"],
  ["matmul", [f(3, 2), f(6, 3)], { transposeA: true, transposeB: true }, "float32[2,6]"],
  [
    "conv2dInputGradient",
    [f(1, 4, 2, 3), f(4, 3, 3, 3)],
    { stride: 2, padding: [0, 0, 1, 1], height: 5, width: 7 },
    "float32[1,3,5,7]",
  ],
  [
    "conv2dWeightGradient",
    [f(1, 3, 5, 7), f(1, 4, 2, 3)],
    { stride: 2, padding: [0, 0, 1, 1], kernel: [3, 3] },
    "float32[4,3,3,3]",
  ],
  [
    "patches",
    [f(2, 4, 5, 3)],
    { kernel: [3, 2], padding: [1, 0, 1, 1], isFlipped: false },
    "float32[2,4,5,18]",
  ],
  ["softmax", [f(2, 3)], {}, "float32[2,3]"],
  ["logSoftmax", [f(2, 3)], {}, "float32[2,3]"],
  ["scatterAdd", [f(2, 3), ["int64", 2]], { rows: 5 }, "float32[5,3]"],
  ["expand", [f(2, 1)], { shape: [4, 2, 3] }, "float32[4,2,3]"],
  ["place", [f(2, 3)], { axis: 1, start: 1, step: 2, size: 7 }, "float32[2,7]"],
  ["matmul", [f(5, 1, 2, 3), f(4, 3, 6)], { transposeB: false }, "float32[5,4,2,6]"],
  ["matmul", [f(2, 3), f(6, 3)], { transposeB: true }, "float32[2,6]"],
  ["conv2d", [f(1, 3, 5, 7), f(4, 3, 3, 3), f(4)], { stride: 2, padding: [0, 0, 1, 1] }, "float32[1,4,2,3]"],
  ["conv2d", [f(1, 3, 5, 7), f(4, 3, 3, 2)], { stride: 1, padding: [1, 2, 3, 4] }, "float32[1,4,7,12]"],
  ["convTranspose2d", [f(1, 3, 4, 5), f(3, 6, 2, 2), f(6)], {}, "float32[1,6,8,10]"],
  ["groupMoments", [f(2, 6, 3, 4)], { groups: 3 }, "float32[2,3,2]"],
  ["groupNorm", [f(2, 6, 3, 4), f(1, 6, 1, 1), f(1, 6, 1, 1)], norm, "float32[2,6,3,4]"],
  ["groupNorm", [f(2, 6, 3, 4), f(1, 6, 1, 1), f(1, 6, 1, 1), f(2, 3, 2)], norm, "float32[2,6,3,4]"],
  ["groupNorm", [f(2, 6, 3, 4), f(2, 6, 3, 2), f(2, 6, 3, 2)], norm, "float32[2,6,3,4]"],
  ["layerNorm", [f(2, 3), f(3), f(3)], { epsilon: 0 }, "float32[2,3]"],
  ["rmsNorm", [f(2, 3), f(3)], { epsilon: 0 }, "float32[2,3]"],
  ["attention", [f(1, 3, 4), f(1, 5, 4), f(1, 5, 8), f(5)], heads, "float32[1,3,8]"],
  [
    "attention",
    [f(1, 4, 3), f(1, 5, 4), f(1, 5, 8), f(2, 3, 5)],
    { ...heads, queries: "channels" },
    "float32[1,8,3]",
  ],
  ["gather", [f(9, 3, 2), ["int64", 4, 5]], {}, "float32[4,5,3,2]"],
  ["argmin", [f(2, 3, 4)], {}, "int64[2,3]"],
  ["reduceSum", [f(2, 3, 4)], { axis: 1 }, "float32[2,4]"],
  ["reshape", [f(2, 6)], { shape: [3, 1, 4] }, "float32[3,1,4]"],
  ["transpose", [f(2, 3, 4)], { order: [2, 0, 1] }, "float32[4,2,3]"],
  ["slice", [f(2, 8)], { axis: 1, start: 1, end: 8, step: 3 }, "float32[2,3]"],
  ["concat", [f(2, 3), f(2, 1), f(2, 3)], { axis: 1 }, "float32[2,7]"],
  ["resizeNearest", [f(1, 2, 3, 4)], { factor: 3 }, "float32[1,2,9,12]"],
  ["toBlocked", [f(1, 16, 3, 4)], { block: 8 }, "float32[1,16,3,4]"],
  ["fromBlocked", [f(1, 16, 3, 4)], { block: 8, channels: 9 }, "float32[1,9,3,4]"],
  ["blockedToTokens", [f(2, 16, 3, 4)], { block: 8 }, "float32[2,12,16]"],
  ["tokensToBlocked", [f(2, 12, 16)], { block: 8, height: 3, width: 4 }, "float32[2,16,3,4]"],
  ["blockedConv2d", [f(1, 16, 5, 7), f(24, 16, 3, 3)], { ...plain, block: 8 }, "float32[1,24,3,5]"],
  [
    "blockedConv2d",
    [f(1, 16, 5, 7), f(24, 16, 2, 2), f(24), f(1, 24, 3, 4)],
    { block: 8, stride: 2, padding: [1, 1, 1, 1] },
    "float32[1,24,3,4]",
  ],
  ["blockedGroupMoments", [f(2, 16, 4, 6)], { block: 8, groups: 4 }, "float32[2,4,2]"],
  [
    "blockedGroupNorm",
    [f(2, 16, 4, 6), f(2, 16, 2, 3), f(2, 16, 2, 3), f(2, 4, 2)],
    { block: 8, groups: 4, epsilon: 0 },
    "float32[2,16,4,6]",
  ],
  ["dequantize", [bytes(3, 64, 8), f(3, 2, 8)], { block: 32, plane: "low", zero: 8 }, "float32[3,64,8]"],
  ["matmulNBits", [f(2, 5, 96), bytes(7, 3, 16), f(7, 3)], { bits: 4, block: 32 }, "float32[2,5,7]"],
];

test.each(GOOD)("OPS.%s infers the result of %j %j", (...one) => {
  expect(apply(one)).toBe(one[3]);
});

/** Operands that do not fit, and what the message must say of them after naming the operands. */
const BAD: readonly ShapeCase[] = [
  ["add", [f(2, 3), f(2)], {}, "seen [2,3] and [2], wanted shapes that broadcast"],
  ["sub", [f(2), ["float16", 2]], {}, "seen float32 and float16, wanted equal element types"],
  ["mul", [f(3, 2), f(2, 3)], {}, "seen [3,2] and [2,3], wanted shapes that broadcast"],
  ["div", [f(4), f(0)], {}, "seen [4] and [0], wanted shapes that broadcast"],
  ["matmul", [f(2, 3), f(4, 5)], { transposeB: false }, "seen 4, wanted inner sizes that agree (3)"],
  ["matmul", [f(2, 3), f(3, 5)], { transposeB: true }, "seen 5, wanted inner sizes that agree (3)"],
  ["matmul", [f(3), f(3, 5)], { transposeB: false }, "seen [3] and [3,5], wanted at least 2 axes each"],
  ["conv2d", [f(1, 3, 5, 7), f(4, 2, 3, 3)], plain, "seen 3, wanted 2 channels, the weight's"],
  ["conv2d", [f(1, 3, 5, 7), f(4, 3, 3, 3), f(3)], plain, "seen [3], wanted a bias of [4]"],
  ["conv2d", [f(1, 3, 2, 7), f(4, 3, 3, 3)], plain, "seen 2x7, wanted a map of at least 3x3"],
  ["conv2d", [f(3, 5, 7), f(4, 3, 3, 3)], plain, "seen [3,5,7], wanted 4 axes"],
  [
    "conv2d",
    [f(1, 3, 5, 7), f(4, 3, 3, 3)],
    { ...plain, stride: 0 },
    "seen 0, wanted a positive whole stride",
  ],
  ["convTranspose2d", [f(1, 3, 4, 5), f(6, 3, 2, 2)], {}, "seen 3, wanted 6 channels, the weight's"],
  ["convTranspose2d", [f(1, 3, 4, 5), f(3, 6, 2, 2), f(3)], {}, "seen [3], wanted a bias of [6]"],
  ["convTranspose2d", [f(1, 3, 4, 5), f(3, 6, 2, 3)], {}, "seen 2x3, wanted a square kernel"],
  [
    "groupNorm",
    [f(1, 5, 2, 3), f(1, 5, 1, 1), f(1, 5, 1, 1)],
    { groups: 2, epsilon: 0 },
    "seen 5, wanted channels that 2 groups divide",
  ],
  [
    "groupNorm",
    [f(4, 6, 3, 4), f(2, 6, 1, 1), f(2, 6, 1, 1)],
    norm,
    "seen [2,6,1,1], wanted [4 or 1,6,h,w] with h dividing 3 and w dividing 4",
  ],
  [
    "groupNorm",
    [f(1, 6, 3, 4), f(1, 6, 3, 3), f(1, 6, 3, 3)],
    norm,
    "seen [1,6,3,3], wanted [1 or 1,6,h,w] with h dividing 3 and w dividing 4",
  ],
  ["groupMoments", [f(1, 5, 2, 3)], { groups: 2 }, "seen 5, wanted channels that 2 groups divide"],
  ["groupMoments", [f(6, 3, 4)], { groups: 2 }, "seen [6,3,4], wanted 4 axes"],
  ["groupNorm", [f(1, 6, 3, 4), f(6), f(6)], norm, "seen [6], wanted 4 axes"],
  [
    "groupNorm",
    [f(2, 6, 3, 4), f(1, 6, 1, 1), f(1, 6, 1, 1), f(1, 3, 2)],
    norm,
    "seen [1,3,2], wanted moments of [2,3,2]",
  ],
  [
    "groupNorm",
    [f(1, 6, 3, 4), f(1, 6, 3, 4), f(1, 6, 1, 1)],
    norm,
    "seen [1,6,1,1], wanted a shift of [1,6,3,4], the scale's shape",
  ],
  ["layerNorm", [f(2, 3), f(2), f(3)], { epsilon: 0 }, "seen [2], wanted operands of [3]"],
  ["layerNorm", [f(2, 3), f(3), f(2)], { epsilon: 0 }, "seen [2], wanted operands of [3]"],
  ["rmsNorm", [f(2, 3), f(2)], { epsilon: 0 }, "seen [2], wanted operands of [3]"],
  ["attention", [f(1, 3, 4), f(1, 5, 6), f(1, 5, 4)], heads, "seen 6, wanted 4 key channels"],
  ["attention", [f(1, 3, 4), f(1, 5, 4), f(1, 6, 4)], heads, "seen 6, wanted 5 values"],
  ["attention", [f(2, 3, 4), f(1, 5, 4), f(1, 5, 4)], heads, "seen 1, wanted a key batch of 2"],
  ["attention", [f(1, 3, 4), f(1, 5, 4), f(2, 5, 4)], heads, "seen 2, wanted a value batch of 1"],
  ["attention", [f(1, 3, 5), f(1, 5, 5), f(1, 5, 4)], heads, "seen 5, wanted channels that 2 heads divide"],
  ["attention", [f(1, 3, 4), f(1, 5, 4), f(1, 5, 3)], heads, "seen 3, wanted channels that 2 heads divide"],
  [
    "attention",
    [f(1, 3, 4), f(1, 5, 4), f(1, 5, 4), f(2, 1, 1, 5)],
    heads,
    "seen [2,1,1,5], wanted a bias that broadcasts to [1,2,3,5]",
  ],
  ["gather", [f(2, 3), f(4)], {}, "seen float32, wanted int64 indices"],
  ["gather", [f(), ["int64", 4]], {}, "seen 0, wanted an axis of []"],
  ["argmin", [f()], {}, "seen [], wanted at least 1 axis"],
  ["reduceSum", [f(2, 3)], { axis: 2 }, "seen 2, wanted an axis of [2,3]"],
  ["reshape", [f(2, 3)], { shape: [5] }, "seen [5], wanted 6 elements"],
  ["transpose", [f(2, 3)], { order: [0, 0] }, "seen 0,0, wanted a permutation of 0,1"],
  ["slice", [f(2, 3)], { axis: 1, start: 1, end: 4, step: 1 }, "seen 1..4, wanted a range inside 0..3"],
  ["slice", [f(2, 3)], { axis: 2, start: 0, end: 1, step: 1 }, "seen 2, wanted an axis of [2,3]"],
  ["slice", [f(2, 3)], { axis: 1, start: 0, end: 3, step: -1 }, "seen -1, wanted a positive whole step"],
  ["concat", [f(2, 3), f(3, 3)], { axis: 1 }, "seen float32[3,3], wanted float32[2,3] but for axis 1"],
  ["concat", [f(2, 3), ["int64", 2, 3]], { axis: 1 }, "seen int64[2,3], wanted float32[2,3] but for axis 1"],
  ["concat", [f(2, 3)], { axis: 2 }, "seen 2, wanted an axis of [2,3]"],
  ["resizeNearest", [f(1, 2, 3, 4)], { factor: 1.5 }, "seen 1.5, wanted a positive whole factor"],
  ["toBlocked", [f(2, 3, 4)], { block: 8 }, "seen [2,3,4], wanted 4 axes"],
  ["toBlocked", [f(1, 9, 3, 4)], { block: 8 }, "seen 9, wanted a multiple of 8 channels"],
  ["fromBlocked", [f(1, 16, 3, 4)], { block: 8, channels: 17 }, "seen 17, wanted 9 to 16 channels"],
  ["fromBlocked", [f(1, 16, 3, 4)], { block: 8, channels: 8 }, "seen 8, wanted 9 to 16 channels"],
  ["blockedToTokens", [f(1, 16, 12)], { block: 8 }, "seen [1,16,12], wanted 4 axes"],
  ["tokensToBlocked", [f(1, 12, 16)], { block: 8, height: 3, width: 3 }, "seen 12, wanted 9 tokens"],
  [
    "tokensToBlocked",
    [f(1, 12, 12)],
    { block: 8, height: 3, width: 4 },
    "seen 12, wanted a multiple of 8 channels",
  ],
  [
    "blockedConv2d",
    [f(1, 16, 5, 7), f(24, 8, 3, 3)],
    { ...plain, block: 8 },
    "seen 16, wanted 8 channels, the weight's",
  ],
  [
    "blockedConv2d",
    [f(1, 16, 5, 7), f(20, 16, 3, 3)],
    { ...plain, block: 8 },
    "seen [20,16,3,3], wanted multiples of 8",
  ],
  [
    "blockedConv2d",
    [f(1, 16, 5, 7), f(24, 16, 3, 3), f(16)],
    { ...plain, block: 8 },
    "seen [16], wanted a bias of [24]",
  ],
  [
    "blockedConv2d",
    [f(1, 16, 5, 7), f(24, 16, 3, 3), f(24), f(1, 24, 5, 7)],
    { ...plain, block: 8 },
    "seen [1,24,5,7], wanted a sum of [1,24,3,5]",
  ],
  [
    "blockedGroupMoments",
    [f(1, 16, 2, 3)],
    { block: 8, groups: 3 },
    "seen 16, wanted channels that 3 groups divide",
  ],
  [
    "blockedGroupNorm",
    [f(2, 16, 4, 6), f(2, 16, 3, 3), f(2, 16, 3, 3)],
    { block: 8, groups: 4, epsilon: 0 },
    "seen [2,16,3,3], wanted [2 or 1,16,h,w] with h dividing 4 and w dividing 6",
  ],
  [
    "dequantize",
    [bytes(3, 64, 8), f(3, 4, 8)],
    { block: 32, plane: "bytes", zero: 0 },
    "seen [3,4,8], wanted [3,2,8]",
  ],
  ["matmulNBits", [f(2, 64), bytes(7, 3, 16), f(7, 3)], { bits: 4, block: 32 }, "seen 64, wanted 96 columns"],
  ["maximum", [f(2), f(3)], {}, "seen [2] and [3], wanted shapes that broadcast"],
  [
    "conv2dInputGradient",
    [f(1, 4, 2, 2), f(4, 3, 3, 3)],
    { ...plain, height: 5, width: 4 },
    "seen 2x2, wanted a gradient of 3x2",
  ],
  [
    "conv2dInputGradient",
    [f(1, 4, 3, 2), f(5, 3, 3, 3)],
    { ...plain, height: 5, width: 4 },
    "seen 4, wanted 5 channels, the weight's",
  ],
  [
    "conv2dWeightGradient",
    [f(1, 3, 5, 4), f(1, 4, 2, 2)],
    { ...plain, kernel: [3, 3] },
    "seen 2x2, wanted a gradient of 3x2",
  ],
  [
    "conv2dWeightGradient",
    [f(1, 3, 5, 4), f(2, 4, 3, 2)],
    { ...plain, kernel: [3, 3] },
    "seen 2, wanted a batch of 1",
  ],
  [
    "patches",
    [f(2, 2, 5, 3)],
    { kernel: [3, 2], padding: [0, 0, 0, 0], isFlipped: false },
    "seen 2x5, wanted a map of at least 3x2",
  ],
  ["softmax", [f()], {}, "seen [], wanted at least 1 axis"],
  ["logSoftmax", [f()], {}, "seen [], wanted at least 1 axis"],
  ["scatterAdd", [f(2, 3), f(2)], { rows: 5 }, "seen float32, wanted int64 indices"],
  ["scatterAdd", [f(2, 3), ["int64", 3]], { rows: 5 }, "seen [2], wanted leading axes [3]"],
  ["expand", [f(2, 3)], { shape: [3, 3] }, "seen [2,3] and [3,3], wanted shapes that broadcast"],
  ["expand", [f(2, 3)], { shape: [1, 3] }, "seen [1,3], wanted a shape that [2,3] broadcasts to"],
  ["place", [f(2, 3)], { axis: 1, start: 1, step: 2, size: 5 }, "seen 1..5, wanted places below 5"],
];

test.each(BAD)("OPS.%s rejects %j %j, naming the operands", (...one) => {
  const [op, operands, , facts] = one;
  const names = operands.map(([dtype, ...shape], i) => `input %${i} (${"abcde"[i]}) ${dtype}[${shape}]`);
  expect(failure(() => apply(one))).toEqual({
    code: "graph_invalid",
    message: `cannot add ${op} of ${names.join(", ")}: ${facts}`,
  });
});

/** Operations whose rule accepts every operand. */
const TAKES_ALL: readonly OpName[] = [
  "input",
  "parameter",
  "constant",
  "sin",
  "cos",
  "silu",
  "sigmoid",
  "sqrt",
  "abs",
  "sign",
  "detach",
  "after",
  "cast",
];

test("OPS has a case of operands that fit and one of operands that do not for every operation", () => {
  const sources: OpName[] = ["input", "parameter", "constant"];
  const good = new Set([...GOOD.map(([op]) => op), ...sources]);
  const bad = new Set([...BAD.map(([op]) => op), ...TAKES_ALL]);
  expect([...good].sort()).toEqual(Object.keys(OPS).sort());
  expect([...bad].sort()).toEqual(Object.keys(OPS).sort());
});

test.each(Object.keys(OPS) as OpName[])("OPS.%s rejects a wrong number of operands", (op) => {
  const most = OPS[op].arity[1];
  const count = Number.isFinite(most) ? most + 1 : 0;
  const inputs = Array.from({ length: count }, () => f(1));
  const { code, message } = failure(() => apply([op, inputs, {}]));
  expect(code).toBe("graph_invalid");
  expect(message).toContain(`cannot add ${op}: seen ${count} inputs, wanted ${OPS[op].arity[0]} to`);
});

test("broadcast follows NumPy's rule", () => {
  expect(broadcast([5, 1, 3], [4, 1])).toEqual([5, 4, 3]);
  expect(broadcast([], [2])).toEqual([2]);
  expect(broadcast([1], [0])).toEqual([0]);
});

test("sequence reads both layouts", () => {
  const x = new GraphBuilder().input("x", "float32", [2, 3, 5]);
  expect(sequence(x, "tokens")).toEqual({ batch: 2, length: 3, channels: 5 });
  expect(sequence(x, "channels")).toEqual({ batch: 2, length: 5, channels: 3 });
});
