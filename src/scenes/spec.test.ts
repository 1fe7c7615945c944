import { expect, test } from "vitest";
import { foldIn, keyOf } from "../random/mod.ts";
import {
  drawSpec,
  isHeldOutBackground,
  isHeldOutPair,
  NANO_SCENES,
  type SceneKind,
  type SceneSpec,
  type Split,
} from "./spec.ts";
import { readSubjects } from "./subjects.node.ts";

const subjects = await readSubjects();
const heldOut = new Set(subjects.filter((subject) => subject.heldOut).map(({ code }) => code));

function scenes(count: number, split = NANO_SCENES.split): SceneSpec[] {
  const root = keyOf(11);
  return Array.from({ length: count }, (_, i) =>
    drawSpec(foldIn(root, i), subjects, { ...NANO_SCENES, split }),
  );
}

function codesOf(spec: SceneSpec): string[] {
  return [...new Set(spec.subjects.map(({ code }) => code))];
}

test("drawSpec gives the same scene for the same key, and others for others", () => {
  expect(scenes(50)).toEqual(scenes(50));
  expect(new Set(scenes(200).map((spec) => JSON.stringify(spec))).size).toBe(200);
});

test("drawSpec keeps held-out subjects, pairs and backgrounds from training", () => {
  for (const spec of scenes(3000)) {
    const codes = codesOf(spec);
    expect(codes.some((code) => heldOut.has(code))).toBe(false);
    expect(codes.some((code) => isHeldOutBackground(code, spec.background))).toBe(false);
    if (spec.kind === "relation") expect(isHeldOutPair(codes[0]!, codes[1]!)).toBe(false);
  }
});

test("drawSpec draws nothing but held-out subjects or combinations where asked", () => {
  for (const spec of scenes(300, "held-out-subjects")) {
    expect(codesOf(spec).every((code) => heldOut.has(code))).toBe(true);
  }
  for (const spec of scenes(300, "held-out-combinations")) {
    const [first, second] = codesOf(spec);
    if (second === undefined) expect(isHeldOutBackground(first!, spec.background)).toBe(true);
    else expect(isHeldOutPair(first!, second)).toBe(true);
  }
});

test("drawSpec keeps to its mixture within five standard errors", () => {
  const drawn = scenes(4000);
  const near = (what: string, hits: number, wanted: number) => {
    const share = hits / drawn.length;
    const error = Math.sqrt((wanted * (1 - wanted)) / drawn.length);
    expect(Math.abs(share - wanted), `${what}: ${share}, wanted ${wanted}`).toBeLessThan(5 * error);
  };
  for (const [kind, wanted] of Object.entries(NANO_SCENES.kinds)) {
    near(kind, drawn.filter((spec) => spec.kind === (kind as SceneKind)).length, wanted);
  }
  near("noto", drawn.filter((spec) => spec.style === "noto").length, 0.7);
  near("white", drawn.filter((spec) => spec.background === "white").length, NANO_SCENES.white);
  const counts = drawn.filter((spec) => spec.kind === "count");
  near("three of a kind", counts.filter((spec) => spec.count === 3).length, NANO_SCENES.kinds.count / 3);
});

test("drawSpec places as many subjects as it says, in the picture and the way the relation says", () => {
  for (const { count, subjects: placed, relation, kind } of scenes(1500)) {
    expect(placed.length).toBe(count);
    for (const { left, top, side } of placed) {
      expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
      expect(Math.max(left, top) + side).toBeLessThanOrEqual(1 + 1e-12);
    }
    if (kind !== "relation") continue;
    const [a, b] = placed as [(typeof placed)[0], (typeof placed)[0]];
    const gaps = {
      left: b.left - a.left,
      right: a.left - b.left,
      above: b.top - a.top,
      below: a.top - b.top,
    };
    // The squares themselves never overlap.
    expect(gaps[relation!]).toBeGreaterThan(a.side);
  }
});

test("isHeldOutPair does not care for order and takes about one in twenty", () => {
  const codes = subjects.map(({ code }) => code);
  let held = 0;
  let pairs = 0;
  for (const [i, a] of codes.entries()) {
    for (const b of codes.slice(i + 1)) {
      expect(isHeldOutPair(a, b)).toBe(isHeldOutPair(b, a));
      pairs++;
      if (isHeldOutPair(a, b)) held++;
    }
  }
  expect(held / pairs).toBeGreaterThan(0.045);
  expect(held / pairs).toBeLessThan(0.055);
});

test("drawSpec finds pairs in short lists, and says where there is none", () => {
  const draw = (list: typeof subjects, split: Split, kind: SceneKind, i = 0) => {
    const kinds = { single: 0, relation: 0, count: 0, grid: 0, [kind]: 1 };
    return drawSpec(foldIn(keyOf(1), i), list, { ...NANO_SCENES, split, kinds });
  };
  const few = subjects.slice(0, 12);
  for (let i = 0; i < 200; i++) {
    const [a, b] = codesOf(draw(few, "held-out-combinations", "relation", i));
    expect(isHeldOutPair(a!, b!)).toBe(true);
  }
  for (const [list, split] of [
    [subjects.slice(0, 1), "train"],
    [few, "held-out-subjects"],
    [[], "train"],
  ] as const) {
    expect(() => draw(list, split, "relation")).toThrow("has nothing for this kind of scene");
  }
  expect(() => draw([], "train", "single")).toThrow("has nothing for this kind of scene");
});
