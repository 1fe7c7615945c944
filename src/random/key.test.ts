import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { foldIn, keyOf, normal } from "./key.ts";

// The same bits come from a second implementation of the definition, in Python with its own log, cos and sin.
test("normal draws the pinned bits of seed 7", () => {
  const bits = (values: Float32Array) =>
    Array.from(new Uint32Array(values.buffer), (word) => word.toString(16));
  expect(bits(normal(foldIn(keyOf(7), 3), [2, 3]).data)).toEqual([
    "bf7363f2",
    "bb956a6e",
    "be7071dc",
    "be95249d",
    "be0b5bac",
    "bdc1c89e",
  ]);
  const many = normal(keyOf(1234567890123n), [1, 4, 64, 96]).data;
  let checksum = 0;
  for (const word of new Uint32Array(many.buffer)) checksum = (Math.imul(checksum, 31) + word) >>> 0;
  expect(checksum.toString(16)).toBe("11ebeaa5");
});

test("normal has the moments and tails of the normal distribution", () => {
  const count = 1 << 20;
  const moments = [0, 0, 0, 0];
  let beyond3 = 0;
  let neighbours = 0;
  let last = 0;
  for (const z of normal(keyOf(42), [count]).data) {
    for (let power = 1; power <= 4; power++) moments[power - 1]! += z ** power / count;
    if (Math.abs(z) > 3) beyond3++;
    neighbours += (z * last) / count;
    last = z;
  }
  // Five standard errors of each statistic: sqrt(1, 2, 15, 96) / sqrt(count).
  const errors = [1, 2, 15, 96].map((variance) => 5 * Math.sqrt(variance / count));
  for (const [i, wanted] of [0, 1, 0, 3].entries()) {
    expect(Math.abs(moments[i]! - wanted), `moment ${i + 1}`).toBeLessThan(errors[i]!);
  }
  expect(Math.abs(neighbours)).toBeLessThan(errors[0]!);
  const tail = 0.0026997960632601866;
  expect(Math.abs(beyond3 / count - tail)).toBeLessThan(5 * Math.sqrt(tail / count));
});

test("normal begins a longer draw with the shorter one, odd lengths too", () => {
  const key = keyOf(3);
  expect(normal(key, [7]).data).toEqual(normal(key, [2, 20]).data.slice(0, 7));
  expect(normal(key, [0]).data).toHaveLength(0);
});

test("foldIn gives streams that differ from each other, from their parent and by order", () => {
  const root = keyOf(0);
  const keys = [
    root,
    foldIn(root, 0),
    foldIn(root, 1),
    foldIn(foldIn(root, 0), 1),
    foldIn(foldIn(root, 1), 0),
  ];
  const heads = keys.map((key) => normal(key, [4]).data.join());
  expect(new Set(heads).size).toBe(heads.length);
});

test("foldIn gives streams without correlation", () => {
  const size = 4096;
  const [a, b] = [0, 1].map((n) => normal(foldIn(keyOf(5), n), [size]).data);
  const correlation = a!.reduce((sum, value, i) => sum + value * b![i]!, 0) / size;
  expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(size));
});

test("keyOf takes whole numbers and bigints modulo 2^64 and refuses the rest", () => {
  expect(keyOf(42)).toEqual(keyOf(42n));
  expect(keyOf(-1)).toEqual(keyOf(2n ** 64n - 1n));
  expect(keyOf(0)).not.toEqual(keyOf(2n ** 32n));
  for (const seed of [0.5, Number.NaN, 2 ** 60]) expect(() => keyOf(seed)).toThrow(KandinskyError);
  expect(() => keyOf(0.5)).toThrow("cannot use the seed: seed: seen 0.5, wanted a whole number");
});
