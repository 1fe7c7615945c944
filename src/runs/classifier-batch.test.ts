import { expect, test } from "vitest";
import { keyOf } from "../random/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { wornImages } from "./classifier-batch.ts";

const SHAPE = [3, 3, 32, 32] as const;

test("wornImages changes contrast and brightness of channels and the colour of patches, by the key", () => {
  const grey = float32(SHAPE, new Float32Array(3 * 3 * 32 * 32).fill(0.5));
  const worn = wornImages(grey, keyOf(3));
  expect(worn).toEqual(wornImages(grey, keyOf(3)));
  expect(worn).not.toEqual(wornImages(grey, keyOf(4)));
  // Of a grey picture every patch of 2x2 has one colour.
  for (let i = 0; i < worn.data.length; i += 2) expect(worn.data[i]).toBe(worn.data[i + 1]);
  const plane = 32 * 32;
  for (let at = 0; at < 9; at++) {
    const values = worn.data.subarray(at * plane, (at + 1) * plane);
    const mean = values.reduce((sum, x) => sum + x, 0) / plane;
    // Contrast 0.2 of 0.5, brightness 0.15, and five standard errors of 256 patches of 0.2.
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.1 + 0.15 + (5 * 0.2) / 16);
  }
});
