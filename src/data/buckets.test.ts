import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { type BucketOptions, checkBuckets, fitBucket, makeBuckets } from "./buckets.ts";

const oneArea = (side: number, step: number): BucketOptions => ({
  mode: "one-area",
  minArea: 0,
  maxArea: side * side,
  step,
  unit: 8,
  maxAspect: 4,
});

// Counts of the five stages: reference page training.md, section 5.
test("makeBuckets gives as many buckets as the stages of Kandinsky 3 are reckoned to have", () => {
  const counts = [
    makeBuckets(oneArea(256, 32)),
    makeBuckets(oneArea(384, 32)),
    makeBuckets(oneArea(512, 64)),
    makeBuckets(oneArea(768, 64)),
    makeBuckets({ mode: "all", minArea: 768 ** 2, maxArea: 1024 ** 2, step: 64, unit: 64, maxAspect: 2 }),
  ].map((buckets) => buckets.length);
  expect(counts).toEqual([17, 25, 17, 25, 83]);
});

test("makeBuckets stays within area, aspect and unit, and turns every bucket", () => {
  for (const options of [
    oneArea(512, 64),
    { mode: "all", minArea: 96 ** 2, maxArea: 128 ** 2, step: 16, unit: 16, maxAspect: 2 } as const,
  ]) {
    const buckets = makeBuckets(options);
    const names = new Set(buckets.map(({ width, height }) => `${width}x${height}`));
    expect(names.size).toBe(buckets.length);
    for (const { width, height } of buckets) {
      expect(width * height).toBeLessThanOrEqual(options.maxArea);
      expect(width * height).toBeGreaterThanOrEqual(options.minArea);
      expect(Math.max(width, height) / Math.min(width, height)).toBeLessThanOrEqual(options.maxAspect);
      expect([width % options.step, height % options.step]).toEqual([0, 0]);
      expect(names.has(`${height}x${width}`), `${height}x${width}`).toBe(true);
    }
  }
});

test("makeBuckets and checkBuckets refuse what is impossible", () => {
  const all = { mode: "all", minArea: 96 ** 2, maxArea: 128 ** 2, step: 16, unit: 16, maxAspect: 2 } as const;
  for (const wrong of [{ step: 24 }, { step: 0 }, { maxAspect: 0.5 }, { minArea: 2 ** 20 }, { step: 160 }]) {
    expect(() => makeBuckets({ ...all, ...wrong }), JSON.stringify(wrong)).toThrow(KandinskyError);
  }
  expect(() => makeBuckets({ ...all, step: 24 })).toThrow("no such bucket is possible: step: seen 24");
  expect(() => checkBuckets([{ width: 64, height: 60 }], 16)).toThrow("seen 64x60");
  expect(() => checkBuckets([], 16)).toThrow(KandinskyError);
  checkBuckets([{ width: 64, height: 48 }], 16);
});

test("fitBucket takes the nearest shape, wide and tall alike, and covers the bucket", () => {
  const buckets = makeBuckets(oneArea(512, 64));
  for (let i = 0; i < 400; i++) {
    const width = 200 + ((i * 37) % 900);
    const height = 200 + ((i * 101) % 900);
    const fit = fitBucket({ width, height }, buckets, true)!;
    const bucket = buckets[fit.bucket]!;
    const error = (w: number, h: number) => Math.abs(Math.log(width / height) - Math.log(w / h));
    for (const other of buckets) {
      expect(error(bucket.width, bucket.height)).toBeLessThanOrEqual(error(other.width, other.height) + 1e-9);
    }
    expect(fit.scaledWidth).toBeGreaterThanOrEqual(bucket.width);
    expect(fit.scaledHeight).toBeGreaterThanOrEqual(bucket.height);
    // Only one axis is cut.
    const cuts = [fit.scaledWidth - bucket.width, fit.scaledHeight - bucket.height];
    expect(Math.min(...cuts), `${width}x${height}`).toBe(0);
    const turned = fitBucket({ width: height, height: width }, buckets, true)!;
    expect(buckets[turned.bucket]).toEqual({ width: bucket.height, height: bucket.width });
  }
});

test("fitBucket enlarges only where it may, and takes the largest bucket that fits", () => {
  const buckets = [64, 96, 128].map((side) => ({ width: side, height: side }));
  const sideOf = (side: number, enlarge: boolean) => {
    const fit = fitBucket({ width: side, height: side }, buckets, enlarge);
    return fit === undefined ? undefined : buckets[fit.bucket]!.width;
  };
  expect([sideOf(300, false), sideOf(100, false), sideOf(64, false), sideOf(63, false)]).toEqual([
    128,
    96,
    64,
    undefined,
  ]);
  expect(sideOf(10, true)).toBe(64);
});
