import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { drawsOf, keyOf } from "../random/mod.ts";
import { drawMask } from "./draw.ts";
import { captionFor, MASK_KINDS, makeMask } from "./make.ts";
import { holeRatio } from "./mask.ts";
import type { MaskSpec } from "./spec.ts";
import { MAKERS, type MakerEntry, MIXTURE } from "./table.ts";
import { disc, masksOf } from "./test-support.ts";

const SIZE = { width: 64, height: 48 };
const OBJECTS = [disc("one", 30), disc("two", 20)];
const COUNT = 2000;

test.each(MASK_KINDS)(
  "makeMask %s: equal keys give equal masks, and the spec as JSON draws them again",
  (kind) => {
    for (const { spec, mask } of masksOf(kind, 20, SIZE, OBJECTS)) {
      const read = JSON.parse(JSON.stringify(spec)) as MaskSpec;
      expect(drawMask(read, OBJECTS)).toEqual(mask);
      expect([read.kind, read.width, read.height]).toEqual([kind, 64, 48]);
      expect(mask.data.every((value) => value === 0 || value === 1)).toBe(true);
    }
    expect(masksOf(kind, 3, SIZE, OBJECTS)).toEqual(masksOf(kind, 3, SIZE, OBJECTS));
    const [a, b] = masksOf(kind, 2, SIZE, OBJECTS);
    if (kind !== "everything") expect(a!.spec).not.toEqual(b!.spec);
  },
);

test.each(Object.keys(MAKERS) as (keyof typeof MAKERS)[])(
  "makeMask %s stays in its range of holes",
  (kind) => {
    const [low, high] = (MAKERS[kind] as MakerEntry).holes ?? [0, 1];
    for (const { mask } of masksOf(kind, 100, SIZE, OBJECTS)) {
      const ratio = holeRatio(mask);
      expect(ratio >= low && ratio <= high, `${ratio}`).toBe(true);
    }
  },
);

test("makeMask mixture takes its rows in their shares, joins one in ten, and rejects", {
  timeout: 60_000,
}, () => {
  expect(MIXTURE.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 12);
  const masks = masksOf("mixture", COUNT, SIZE, OBJECTS);
  const made = masks.flatMap(({ spec }) => spec.made);
  let worst = { name: "", off: 0 };
  for (const { name, weight } of MIXTURE) {
    const off = Math.abs(made.filter((one) => one === name).length / made.length - weight);
    // Five standard errors.
    expect(off, name).toBeLessThan(5 * Math.sqrt((weight * (1 - weight)) / made.length));
    if (off > worst.off) worst = { name, off };
  }
  expect(worst.off, `the worst row is ${worst.name}`).toBeLessThan(0.03);
  const unions = masks.filter(({ spec }) => spec.made.length === 2).length / COUNT;
  expect(Math.abs(unions - 0.1)).toBeLessThan(5 * Math.sqrt(0.09 / COUNT));
  for (const { spec, mask } of masks) {
    const ratio = holeRatio(mask);
    if (spec.made.includes("everything")) expect(ratio).toBe(1);
    else expect(ratio >= 0.02 && ratio <= 0.95, `${spec.made} ${ratio}`).toBe(true);
  }
});

test("makeMask mixture does without objects where there are none", () => {
  const made = masksOf("mixture", 500, SIZE).flatMap(({ spec }) => spec.made);
  expect(made.filter((name) => name.startsWith("object"))).toEqual([]);
  const polygons = made.filter((name) => name === "polygon").length / made.length;
  expect(Math.abs(polygons - 0.25 / 0.7125)).toBeLessThan(5 * Math.sqrt(0.23 / 500));
});

test("makeMask sides leaves one side at least, and the frame all four", () => {
  const sides = masksOf("sides", 200, SIZE).map(({ mask: { data } }) => {
    const at = (x: number, y: number) => data[y * 64 + x];
    return [at(0, 24), at(63, 24), at(32, 0), at(32, 47)].join("");
  });
  expect(new Set(sides).size).toBe(15);
  expect(sides).not.toContain("0000");
  const middles = masksOf("frame", 50, SIZE).map(({ mask }) => [mask.data[24 * 64 + 32], mask.data[0]]);
  expect(new Set(middles.map(String))).toEqual(new Set(["0,1"]));
});

test("makeMask says what is wrong", () => {
  const key = keyOf(0);
  expect(() => makeMask("mixtur" as "mixture", key, SIZE)).toThrow("did you mean mixture?");
  expect(() => makeMask("object", key, SIZE)).toThrow("pictures with transparent background");
  expect(() => makeMask("ellipse", key, { width: 1, height: 1 })).toThrow(KandinskyError);
  expect(() => makeMask("ellipse", key, { width: 1, height: 1 })).toThrow("take a larger size");
  const empty = { id: "glass", width: 2, height: 2, data: new Uint8Array(4) };
  expect(() => makeMask("object", key, SIZE, [empty])).toThrow("this picture shows no object: glass");
});

test("captionFor: objects half by their own label, a tenth without; other masks by the picture's", () => {
  const [object] = masksOf("object", 1, SIZE, OBJECTS);
  const [ellipse] = masksOf("ellipse", 1, SIZE);
  const draws = drawsOf(keyOf(5));
  const uses = Array.from({ length: 10_000 }, () => captionFor(object!.spec, draws));
  for (const [use, share] of [
    ["local", 0.5],
    ["global", 0.4],
    ["empty", 0.1],
  ] as const) {
    const off = Math.abs(uses.filter((one) => one === use).length / uses.length - share);
    expect(off, use).toBeLessThan(0.025);
  }
  expect(captionFor(ellipse!.spec, draws)).toBe("global");
});
