import { expect, test } from "vitest";
import { planBuckets } from "./buckets.ts";
import { allreduceSeconds, fitLink, type Link, slowed, slowestOf, stepSeconds } from "./model.ts";

const LINK: Link = { alpha: 20e-6, beta: 1e-9 };
const STEP = { forward: 1, backward: 2, update: 0.1 };
const SIZES = [1e6, 2e6, 3e6, 4e6].map((size, i) => ({ name: `t${i}`, size }));

test("fitLink finds the link that samples were made with, through noise", () => {
  const exact = [1e3, 1e4, 1e5, 1e6, 1e7].map((bytes) => ({
    bytes,
    seconds: allreduceSeconds(LINK, 2, bytes),
  }));
  const found = fitLink(exact);
  expect(Math.abs(found.alpha / LINK.alpha - 1)).toBeLessThan(1e-9);
  expect(Math.abs(found.beta / LINK.beta - 1)).toBeLessThan(1e-9);
  const noisy = exact.map(({ bytes, seconds }, i) => ({
    bytes,
    seconds: seconds * (i % 2 === 0 ? 1.1 : 0.9),
  }));
  expect(Math.abs(fitLink(noisy).beta / LINK.beta - 1)).toBeLessThan(0.1);
  expect(
    fitLink([
      { bytes: 1e3, seconds: 1e-6 },
      { bytes: 1e6, seconds: 2e-3 },
    ]).alpha,
  ).toBe(0);
});

test("allreduceSeconds: the ring moves twice the bytes, short messages take log2 n rounds", () => {
  expect(allreduceSeconds(LINK, 1, 1e9)).toBe(0);
  expect(allreduceSeconds(LINK, 416, 1e9)).toBeCloseTo(2 * 415 * 20e-6 + (2 * 415) / 416, 9);
  expect(allreduceSeconds(LINK, 416, 4)).toBeCloseTo(9 * 20e-6, 7);
});

test("stepSeconds by hand: alone, after the backward pass, during it", () => {
  const buckets = planBuckets(SIZES, 16e6);
  expect(buckets.map(({ size }) => size)).toEqual([4e6, 3e6, 3e6]);
  expect(stepSeconds(STEP, buckets, LINK, 1, false)).toBeCloseTo(3.1, 12);
  const slow: Link = { alpha: 0, beta: 1e-7 };
  // 40 MB over two at 0.1 us a byte: 4 seconds.
  expect(stepSeconds(STEP, buckets, slow, 2, false)).toBeCloseTo(3.1 + 4, 9);
  // The first bucket is made at 1.8 s and takes 1.6; the others 1.2 each, behind it.
  expect(stepSeconds(STEP, buckets, slow, 2, true)).toBeCloseTo(1.8 + 4 + 0.1, 9);
  // Fast enough: only the last bucket is seen.
  const last = allreduceSeconds(LINK, 2, 12e6);
  expect(stepSeconds(STEP, buckets, LINK, 2, true)).toBeCloseTo(3.1 + last, 9);
});

// Tippett, "On the extreme individuals and the range of samples", Biometrika 17, 1925; two by hand: 1 / sqrt(pi).
test.each([
  [1, 0],
  [2, 1 / Math.sqrt(Math.PI)],
  [10, 1.53875],
  [100, 2.50759],
])("slowestOf %i is the expected largest of as many normal values", (count, expected) => {
  const found = slowestOf(count);
  expect(Math.abs(found - expected), `${found}`).toBeLessThan(2e-5);
});

test("slowed lengthens all parts alike", () => {
  const { forward, backward, update } = slowed(STEP, 10, 0.1);
  expect([forward, backward / 2, update * 10].map((x) => x.toFixed(5))).toEqual([
    "1.15388",
    "1.15388",
    "1.15388",
  ]);
});
