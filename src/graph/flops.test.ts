import { expect, test } from "vitest";
import {
  FLAN_UL2,
  KANDINSKY3_MOVQ,
  KANDINSKY3_UNET,
  movqDecoderGraph,
  movqEncoderGraph,
  t5Graph,
  textProjectionGraph,
  unetGraph,
} from "../models/mod.ts";
import { buildGraph } from "./builder.ts";
import { graphFlops, peakActivationBytes } from "./flops.ts";
import { add, attention, conv2d, convTranspose2d, matmul, reshape, silu } from "./functions.ts";

test("graphFlops counts two operations for each multiply-accumulate", () => {
  const graph = buildGraph((b) => {
    const a = b.input("a", "float32", [2, 3, 4]);
    const product = matmul(a, b.parameter("w", [5, 4]), { transposeB: true });
    const x = b.input("x", "float32", [1, 3, 6, 8]);
    const halved = conv2d(x, b.parameter("c", [7, 3, 3, 3]), b.parameter("bias", [7]), {
      stride: 2,
      padding: [1, 1, 1, 1],
    });
    const doubled = convTranspose2d(x, b.parameter("t", [3, 5, 2, 2]));
    const q = b.input("q", "float32", [2, 10, 8]);
    const k = b.input("k", "float32", [2, 6, 8]);
    const mixed = attention(q, k, k, undefined, {
      heads: 4,
      scale: 1,
      queries: "tokens",
      keys: "tokens",
    });
    return { product, halved, doubled, mixed: silu(mixed) };
  });
  const macs = 2 * 3 * 5 * 4 + 7 * 3 * 4 * 3 * 9 + 3 * 6 * 8 * 5 * 4 + 2 * (2 * 10 * 6 * 8);
  expect(graphFlops(graph)).toBe(2 * macs);
});

/** Figures of the reference notes: the released model counted by hooks in PyTorch. */
const COUNTED: readonly (readonly [name: string, gflop: number, count: () => number])[] = [
  ...(
    [
      [256, 128, 276],
      [512, 128, 862],
      [768, 128, 1848],
      [1024, 128, 3248],
      [256, 77, 244],
      [512, 77, 828],
      [1024, 77, 3209],
    ] as const
  ).map(
    ([side, tokens, gflop]) =>
      [`U-Net at ${side}, ${tokens} tokens`, gflop, () => unet(side, tokens)] as const,
  ),
  [
    "T5 at 128 tokens",
    2208,
    () => graphFlops(t5Graph(FLAN_UL2, 1, 128, { from: 0, to: FLAN_UL2.numLayers })),
  ],
  ...(
    [
      [256, 1875],
      [512, 7706],
      [1024, 34121],
    ] as const
  ).map(
    ([side, gflop]) =>
      [
        `decoder at ${side}`,
        gflop,
        () => graphFlops(movqDecoderGraph(KANDINSKY3_MOVQ, { batch: 1, height: side / 8, width: side / 8 })),
      ] as const,
  ),
  ...(
    [
      [256, 891],
      [512, 3717],
      [1024, 17342],
    ] as const
  ).map(
    ([side, gflop]) =>
      [
        `encoder at ${side}`,
        gflop,
        () => graphFlops(movqEncoderGraph(KANDINSKY3_MOVQ, { batch: 1, height: side, width: side })),
      ] as const,
  ),
];

function unet(side: number, contextLength: number): number {
  const shape = { batch: 1, height: side / 8, width: side / 8, contextLength, steps: 1 };
  return (
    graphFlops(unetGraph(KANDINSKY3_UNET, shape)) +
    graphFlops(textProjectionGraph(KANDINSKY3_UNET, 1, contextLength))
  );
}

test.each(COUNTED)("graphFlops of the released %s is within 1 %% of %d GFLOP", (_, gflop, count) => {
  const ratio = count() / 1e9 / gflop;
  expect(Math.abs(ratio - 1), `${(ratio * gflop).toFixed(1)} GFLOP, ${ratio} of ${gflop}`).toBeLessThan(0.01);
});

test("peakActivationBytes frees each value after its last use", () => {
  const graph = buildGraph((b) => {
    const x = b.input("x", "float32", [10]);
    // x, then x and y, then y and z, then x is gone.
    const y = silu(x);
    const z = silu(y);
    return { z: silu(z) };
  });
  expect(peakActivationBytes(graph)).toBe(2 * 40);
});

test("peakActivationBytes keeps what is used later and results, counts no weights, and views once", () => {
  const graph = buildGraph((b) => {
    const x = b.input("x", "float32", [10]);
    const w = add(b.parameter("w", [10]), 1);
    const y = add(x, w);
    const view = reshape(silu(y), [2, 5]);
    return { sum: add(x, reshape(view, [10])), kept: y };
  });
  // At the last sum: x, y (a result), the SiLU under its views, and the sum.
  expect(peakActivationBytes(graph)).toBe(4 * 40);
});

test.each([true, false])(
  "peakActivationBytes counts the scores of an attention with a bias while it runs: %s",
  (hasBias) => {
    const graph = buildGraph((b) => {
      const q = b.input("q", "float32", [1, 100, 8]);
      const k = b.input("k", "float32", [1, 50, 8]);
      const attributes = { heads: 2, scale: 1, queries: "tokens", keys: "tokens" } as const;
      const bias = hasBias ? b.input("bias", "float32", [1, 1, 1, 50]) : undefined;
      return { mixed: attention(q, k, k, bias, attributes) };
    });
    const values = 100 * 8 + 50 * 8 + 100 * 8;
    expect(peakActivationBytes(graph)).toBe(4 * (hasBias ? values + 50 + 2 * 100 * 50 : values));
  },
);
