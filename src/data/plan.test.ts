import { expect, test } from "vitest";
import { foldIn, keyOf } from "../random/mod.ts";
import { planEpoch, rowsOf } from "./plan.ts";

const COUNT = 4000;
const FILES = 40;
const files = Int32Array.from({ length: COUNT }, (_, i) => Math.floor(i / (COUNT / FILES)));
const alike = new Int32Array(COUNT);
const key = keyOf(5);

test("planEpoch shows every sample that has a bucket once, and fills up with its own bucket", () => {
  const buckets = Int32Array.from({ length: COUNT }, (_, i) => [0, 0, 0, 1, 2, -1][i % 6]!);
  buckets[7] = 3;
  const planned = planEpoch(key, 0, { buckets, files, batch: 16, buffer: 300 });
  const shown = new Map<number, number>();
  for (const { bucket, samples } of planned) {
    expect(samples.length).toBe(16);
    for (const sample of samples) {
      expect(buckets[sample]).toBe(bucket);
      shown.set(sample, (shown.get(sample) ?? 0) + 1);
    }
  }
  expect(shown.size).toBe(buckets.filter((bucket) => bucket >= 0).length);
  // The one sample of its bucket fills a whole batch; of the others no more than a batch each is shown twice.
  expect(shown.get(7)).toBe(16);
  const twice = [...shown].filter(([sample, times]) => sample !== 7 && times > 1);
  expect(twice.length).toBeLessThan(3 * 16);
});

test("planEpoch is the same for the same key and epoch, and another for another", () => {
  const options = { buckets: alike, files, batch: 8, buffer: 300 };
  const flat = (epoch: number, from = key) =>
    planEpoch(from, epoch, options).flatMap(({ samples }) => samples);
  expect(flat(3)).toEqual(flat(3));
  expect(flat(3)).not.toEqual(flat(4));
  expect(flat(3)).not.toEqual(flat(3, foldIn(key, 1)));
});

test("planEpoch mixes over files, and the more the larger the buffer", () => {
  const spread = (buffer: number) => {
    const planned = planEpoch(key, 0, { buckets: alike, files, batch: 32, buffer });
    const kinds = planned.map(({ samples }) => new Set(samples.map((sample) => files[sample])).size);
    return kinds.reduce((sum, n) => sum + n, 0) / kinds.length;
  };
  expect(spread(0)).toBeLessThan(2);
  expect(spread(500)).toBeGreaterThan(4);
  expect(spread(COUNT)).toBeGreaterThan(18);
});

test("planEpoch gives every sample any place alike, within five standard errors", () => {
  const small = { buckets: new Int32Array(20), files: new Int32Array(20), batch: 20, buffer: 1000 };
  const times = 2000;
  let first = 0;
  for (let epoch = 0; epoch < times; epoch++) {
    if (planEpoch(key, epoch, small)[0]!.samples.indexOf(19) < 10) first++;
  }
  expect(Math.abs(first / times - 0.5)).toBeLessThan(5 * Math.sqrt(0.25 / times));
});

test("planEpoch and rowsOf refuse what cannot be", () => {
  const none = new Int32Array(5).fill(-1);
  expect(() => planEpoch(key, 0, { buckets: none, files: none, batch: 2, buffer: 2 })).toThrow("no sample");
  expect(() => rowsOf([1, 2, 3], { rank: 0, world: 2 })).toThrow("the batch cannot be shared");
  expect(() => rowsOf([1, 2], { rank: 2, world: 2 })).toThrow("the batch cannot be shared");
});

test("rowsOf splits a batch into parts that make it up in order", () => {
  const batch = Array.from({ length: 12 }, (_, i) => i);
  for (const world of [1, 2, 3, 4]) {
    const parts = Array.from({ length: world }, (_, rank) => rowsOf(batch, { rank, world }));
    expect(parts.flat()).toEqual(batch);
  }
});
