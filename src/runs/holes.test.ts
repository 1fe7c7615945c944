import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { foldIn, keyOf } from "../random/mod.ts";
import { composeScene, drawSpec, NANO_SCENES, readMasterSheet, readSubjects } from "../scenes/mod.ts";
import { drawHoles, type Whole } from "./holes.ts";
import { sceneObjects } from "./scene-objects.ts";

const SHEETS = fileURLToPath(new URL("../../../golden/scenes/", import.meta.url));
const DRAWN_CODES: readonly string[] = JSON.parse(readFileSync(`${SHEETS}codes.json`, "utf8"));
const sheets = (["noto", "flat"] as const).map((style) =>
  readMasterSheet(`${SHEETS}${style}.webp`, style, DRAWN_CODES),
);
const masters = new Map((await Promise.all(sheets)).flatMap((sheet) => [...sheet]));
const all = (await readSubjects()).filter(({ code }) => DRAWN_CODES.includes(code));
const subjects = new Map(all.map((subject) => [subject.code, subject]));
const [width, height] = [64, 64];

/** Scenes as training gives them, with captions that say which is which. */
function scenes(count: number, seed = 1): Whole[] {
  return Array.from({ length: count }, (_, row) => {
    const spec = drawSpec(foldIn(keyOf(seed), row), all, NANO_SCENES);
    const objects = sceneObjects(spec, `${row}`, { masters, subjects, width, height });
    return { width, height, text: `whole ${row}`, objects };
  });
}

const holeOf = (keep: Float32Array) => keep.filter((value) => value === 0).length / keep.length;

test("drawHoles: a row's hole and caption hang on the key and the row alone", () => {
  const pictures = scenes(8);
  const once = drawHoles(pictures, 0.1, keyOf(3));
  expect(drawHoles(pictures, 0.1, keyOf(3))).toEqual(once);
  const other = drawHoles(pictures, 0.1, keyOf(4));
  const same = once.filter(({ keep }, row) => keep.every((value, i) => value === other[row]!.keep[i]));
  // All hole is the same hole under every key.
  expect(same.every(({ keep }) => holeOf(keep) === 1)).toBe(true);
  expect(new Set(once.map(({ keep }) => keep.join(""))).size).toBeGreaterThan(5);
});

test("drawHoles: everything is 0 all over; holes of the mixture leave something and take something", () => {
  for (const { keep, text } of drawHoles(scenes(6), 1, keyOf(5))) {
    expect([holeOf(keep), text.startsWith("whole")]).toEqual([1, true]);
  }
  const holes = drawHoles(scenes(400), 0, keyOf(5)).map(({ keep }) => holeOf(keep));
  const whole = holes.filter((hole) => hole === 1).length / holes.length;
  expect(whole, "share of holes all over").toBeGreaterThan(0.02);
  expect(whole, "share of holes all over").toBeLessThan(0.09);
  expect(Math.min(...holes)).toBeGreaterThanOrEqual(0.02);
});

test("drawHoles: one in four or so holes has the shape of an object, with its own caption for half of them", () => {
  const holed = drawHoles(scenes(600), 0, keyOf(7));
  const shares = { local: 0, empty: 0, global: 0 };
  for (const [row, { text }] of holed.entries()) {
    if (text === `whole ${row}`) shares.global++;
    else if (text === "") shares.empty++;
    else shares.local++;
  }
  // Objects and their boxes are 28.75 % of the mixture, a little more with unions: half of them local, a tenth empty.
  expect(shares.local / 600).toBeGreaterThan(0.1);
  expect(shares.local / 600).toBeLessThan(0.2);
  expect(shares.empty / 600).toBeGreaterThan(0.01);
  expect(shares.empty / 600).toBeLessThan(0.06);
});

test("drawHoles: the local caption is that of the object that the hole covers most", () => {
  // Two halves of the picture; a hole covers more of the one in which more of it lies.
  const half = (right: boolean) =>
    Uint8Array.from({ length: width * height }, (_, i) => {
      return i % width >= width / 2 === right ? 255 : 0;
    });
  const objects = [false, true].map((right) => ({
    shape: { id: `${right}`, width, height, data: half(right) },
    caption: () => (right ? "right" : "left"),
  }));
  const pictures = Array.from({ length: 200 }, () => ({ width, height, text: "both", objects }));
  const seen = drawHoles(pictures, 0, keyOf(9)).filter(({ text }) => text === "left" || text === "right");
  expect(seen.length).toBeGreaterThan(15);
  for (const { keep, text } of seen) {
    const [left, right] = [false, true].map((one) => {
      return half(one).filter((value, i) => value === 255 && keep[i] === 0).length;
    }) as [number, number];
    if (left !== right) expect(text).toBe(left > right ? "left" : "right");
  }
});

test("sceneObjects: each subject alone, where it stands, with captions that name it and no other", () => {
  const spec = [...Array(60).keys()]
    .map((i) => drawSpec(foldIn(keyOf(2), i), all, NANO_SCENES))
    .find(({ kind }) => kind === "relation")!;
  const objects = sceneObjects(spec, "7", { masters, subjects, width, height });
  expect(objects.map(({ shape }) => shape.id)).toEqual(["7.0", "7.1"]);
  const picture = composeScene(spec, masters, width, height);
  const corner = [...picture.data.subarray(0, 3)];
  for (const [i, { shape, caption }] of objects.entries()) {
    const shown = shape.data.reduce((sum, alpha) => sum + (alpha >= 128 ? 1 : 0), 0);
    expect(shown / (width * height)).toBeGreaterThan(0.02);
    // Where nothing is opaque the background shows: a corner is never covered.
    expect(shape.data[0]).toBe(0);
    expect(corner).toEqual([...picture.data.subarray(0, 3)]);
    const names = [0, 1].map((k) => {
      const { labels, names: more } = subjects.get(spec.subjects[k]!.code)!;
      return [...Object.values(labels), ...Object.values(more).flat()];
    });
    const texts = Array.from({ length: 20 }, (_, n) => caption(keyOf(n)).toLowerCase());
    const naming = (k: number) => {
      return texts.filter((text) => names[k]!.some((name) => text.includes(name.toLowerCase()))).length;
    };
    expect(naming(i), texts.join("; ")).toBeGreaterThan(naming(1 - i));
  }
});
