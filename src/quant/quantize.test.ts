import { expect, test } from "vitest";
import { foldIn, keyOf, normal } from "../random/mod.ts";
import { float16ToNumber } from "../tensor/mod.ts";
import { dequantize, type Grid, packPairs, type QuantScheme, quantize, unpackPairs } from "./mod.ts";

const BITS = [4, 8] as const;
const BLOCKS = [32, 64, 128] as const;
const SCHEMES: QuantScheme[] = BITS.flatMap((bits) =>
  BLOCKS.flatMap((block) => [true, false].map((symmetric) => ({ bits, block, symmetric }))),
);
const GRIDS: Grid[] = [
  { groups: 5, length: 256, lanes: 1 },
  { groups: 2, length: 384, lanes: 16 },
];

/** Normal weights, some blocks all zero, all positive or all negative. */
function weightsOf({ groups, length, lanes }: Grid, size: number): Float32Array {
  const values = normal(foldIn(keyOf(9), lanes), [groups * length * lanes]).data;
  const kinds = [(x: number) => x, Math.abs, (x: number) => -Math.abs(x), () => 0];
  return Float32Array.from(values, (x, i) => size * kinds[Math.floor(i / (128 * lanes)) % 4]!(x));
}

/** The definition in float64, place by place. */
function defined(
  { codes, scales, zeros }: ReturnType<typeof quantize>,
  grid: Grid,
  { bits, block }: QuantScheme,
): number[] {
  const { length, lanes } = grid;
  return Array.from(codes, (code, i) => {
    const [group, k, lane] = [Math.floor(i / (length * lanes)), Math.floor(i / lanes) % length, i % lanes];
    const at = (group * (length / block) + Math.floor(k / block)) * lanes + lane;
    return (code - (zeros?.[at] ?? 2 ** (bits - 1))) * float16ToNumber(scales[at]!);
  });
}

test.each(SCHEMES)("dequantize is the definition in float64, exactly: %j", (scheme) => {
  for (const grid of GRIDS) {
    const rounded = quantize(weightsOf(grid, 0.05), grid, scheme);
    expect(Array.from(dequantize(rounded, grid, scheme))).toEqual(defined(rounded, grid, scheme));
    expect(Math.max(...rounded.codes)).toBeLessThan(2 ** scheme.bits);
    expect(rounded.zeros === undefined).toBe(scheme.symmetric);
  }
});

test.each(SCHEMES)("quantize of what was rounded gives the same weights again: %j", (scheme) => {
  for (const grid of GRIDS) {
    for (const size of [0.03, 1, 40]) {
      const rounded = quantize(weightsOf(grid, size), grid, scheme);
      const [once, twice] = [rounded, quantize(dequantize(rounded, grid, scheme), grid, scheme)].map((one) =>
        dequantize(one, grid, scheme),
      ) as [Float32Array, Float32Array];
      // A loop, since zeros of either sign are equal here.
      const at = once.findIndex((value, i) => value !== twice[i]);
      expect(at, `size ${size}: ${once[at]} became ${twice[at]}`).toBe(-1);
    }
  }
});

/** Largest error over a block's range, and error power over power of normal weights (in dB), of each number of bits. */
const LIMITS = {
  // One step of 255; of 15 steps up to 4 are cut off at an end where that makes the rest better.
  8: { worst: 1.01 / 255, decibels: -42 },
  4: { worst: 4 / 15, decibels: -18.5 },
};

test.each(SCHEMES)("quantize stays near the weights: %j", (scheme) => {
  for (const grid of GRIDS) {
    const weights = weightsOf(grid, 0.05);
    const back = dequantize(quantize(weights, grid, scheme), grid, scheme);
    const range = Math.max(...weights) - Math.min(...weights);
    let [worst, error, power] = [0, 0, 0];
    weights.forEach((weight, i) => {
      worst = Math.max(worst, Math.abs(weight - back[i]!) / range);
      error += (weight - back[i]!) ** 2;
      power += weight ** 2;
    });
    const decibels = 10 * Math.log10(error / power);
    const limit = LIMITS[scheme.bits];
    expect(worst, `worst ${worst}`).toBeLessThanOrEqual(limit.worst);
    expect(decibels, `${decibels} dB`).toBeLessThanOrEqual(limit.decibels);
    // Zeros stay zeros, so that what was pruned stays so.
    expect(weights.findIndex((weight, i) => weight === 0 && back[i] !== 0)).toBe(-1);
  }
});

test("unpackPairs gives back what packPairs packed, the first in the low half", () => {
  const codes = Uint8Array.from({ length: 64 }, (_, i) => (7 * i) % 16);
  expect(packPairs(codes)[0]).toBe(codes[0]! + 16 * codes[1]!);
  expect(unpackPairs(packPairs(codes))).toEqual(codes);
});
