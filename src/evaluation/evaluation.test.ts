import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { resizePicture } from "../image/mod.ts";
import { drawsOf, foldIn, keyOf, normal } from "../random/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import {
  BACKGROUNDS,
  type Background,
  composeScene,
  drawSpec,
  NANO_SCENES,
  RELATIONS,
  readMasterSheet,
  readSeedCodes,
  readSubjects,
  type SceneKind,
  type SceneSpec,
} from "../scenes/mod.ts";
import { backgroundOf } from "./background.ts";
import { JUDGE_FOLDER, openClassifier } from "./classifier.node.ts";
import { colourDistance, featuresOf, nearestFeatures } from "./features.ts";
import { gridFigures, isStraightGrid } from "./grid.ts";
import type { Verdict } from "./judge.ts";
import { openJudging } from "./judging.node.ts";
import { amongOthers, rateOf } from "./rate.ts";

const DRAWN = fileURLToPath(new URL("../../../golden/scenes/", import.meta.url));
const DRAWN_CODES: readonly string[] = JSON.parse(readFileSync(`${DRAWN}codes.json`, "utf8"));
const masters = new Map([
  ...(await readMasterSheet(`${DRAWN}noto.webp`, "noto", DRAWN_CODES)),
  ...(await readMasterSheet(`${DRAWN}flat.webp`, "flat", DRAWN_CODES)),
]);
const subjects = (await readSubjects()).filter(({ code }) => DRAWN_CODES.includes(code));
const seedCodes = (await readSeedCodes()).filter((code) => DRAWN_CODES.includes(code));
const engine = await startEngine({ device: "cpu", threads: 1 });
afterAll(() => engine[Symbol.asyncDispose]());
const judging = openJudging({
  ...{ classifier: await openClassifier(JUDGE_FOLDER, engine), masters, codes: DRAWN_CODES },
  ...{ subjects, seedCodes },
});

function scenes(kind: SceneKind, count: number): SceneSpec[] {
  const kinds = { single: 0, relation: 0, count: 0, grid: 0, [kind]: 1 };
  return Array.from({ length: count }, (_, i) =>
    drawSpec(foldIn(keyOf(31), i), subjects, { ...NANO_SCENES, kinds }),
  );
}

const judged = (picture: Picture, spec: SceneSpec): Promise<Verdict> => judging.judge(picture, spec, 0);

async function inTurn<A, B>(items: readonly A[], make: (item: A, i: number) => Promise<B>): Promise<B[]> {
  const made: B[] = [];
  for (const [i, item] of items.entries()) made.push(await make(item, i));
  return made;
}

/** Pictures as a weak model makes them: blurred to half the detail, with noise. */
async function spoiled(picture: Picture, seed: number): Promise<Picture> {
  const small = await resizePicture(picture, picture.width / 3, picture.height / 3);
  const blurred = await resizePicture(small, picture.width, picture.height);
  const noise = normal(keyOf(seed), [blurred.data.length]).data;
  const data = new Uint8ClampedArray(blurred.data.length);
  for (let i = 0; i < data.length; i++) data[i] = blurred.data[i]! + 12 * noise[i]!;
  return { ...blurred, data: new Uint8Array(data) };
}

type Measure = (verdict: Verdict) => boolean | undefined;

/** What is to be right of each kind of scene. */
const MEASURES: Readonly<Record<SceneKind, Readonly<Record<string, Measure>>>> = {
  single: {
    features: ({ ranks }) => ranks?.features.hundred === 0,
    colours: ({ ranks }) => ranks?.colours.hundred === 0,
  },
  relation: { relation: ({ relation }) => relation },
  count: { count: ({ count }) => count },
  grid: { grid: ({ grid }) => grid },
};
const KINDS = Object.keys(MEASURES) as SceneKind[];

function expectRight(kind: SceneKind, verdicts: readonly Verdict[], share: number, where: string): void {
  for (const [name, measure] of Object.entries(MEASURES[kind])) {
    expect(rateOf(verdicts.map(measure)).share, `${kind} by ${name}, ${where}`).toBeGreaterThanOrEqual(share);
  }
}

const SLOW = { timeout: 240_000 };

test("judge finds at least 99 % of our own scenes right, at 64 and at 128 px", SLOW, async () => {
  for (const kind of KINDS) {
    for (const size of [64, 128]) {
      const verdicts = await inTurn(scenes(kind, 100), (spec) =>
        judged(composeScene(spec, masters, size), spec),
      );
      expectRight(kind, verdicts, 0.99, `at ${size} px`);
      const background = rateOf(verdicts.map((verdict) => verdict.background)).share;
      expect(background, `background of ${kind} at ${size}`).toBeGreaterThanOrEqual(0.99);
    }
  }
});

test("judge still finds at least 95 % right where pictures are blurred and noisy", SLOW, async () => {
  for (const kind of KINDS) {
    const verdicts = await inTurn(scenes(kind, 60), async (spec, i) =>
      judged(await spoiled(composeScene(spec, masters, 66), i), spec),
    );
    expectRight(kind, verdicts, 0.95, "blurred");
  }
});

test("judge falls to nothing, or to chance, where something else is shown", SLOW, async () => {
  const drawn = (spec: SceneSpec) => composeScene(spec, masters, 64);
  const draws = drawsOf(keyOf(8));
  const other = await inTurn(scenes("single", 120), async (spec) => {
    const code = draws.pick(subjects.filter((one) => one.code !== spec.subjects[0]!.code)).code;
    return judged(drawn(spec), { ...spec, subjects: [{ ...spec.subjects[0]!, code }] });
  });
  expect(rateOf(other.map(({ ranks }) => ranks?.features.hundred === 0)).hits).toBeLessThanOrEqual(1);
  expect(rateOf(other.map(({ ranks }) => ranks?.colours.hundred === 0)).share).toBe(0);
  const turned = scenes("relation", 60).flatMap((spec) =>
    RELATIONS.filter((relation) => relation !== spec.relation).map((relation) => ({ spec, relation })),
  );
  const turnedTo = await inTurn(turned, ({ spec, relation }) => judged(drawn(spec), { ...spec, relation }));
  expect(rateOf(turnedTo.map(({ relation }) => relation)).share).toBe(0);
  const miscounted = scenes("count", 60).flatMap((spec) =>
    [2, 3, 4].filter((count) => count !== spec.count).map((count) => ({ spec, count })),
  );
  const counted = await inTurn(miscounted, ({ spec, count }) => judged(drawn(spec), { ...spec, count }));
  expect(rateOf(counted.map(({ count }) => count)).share).toBe(0);
  const names = Object.keys(BACKGROUNDS) as Background[];
  const recoloured = await inTurn(scenes("single", 60), (spec) => {
    const background = draws.pick(names.filter((name) => name !== spec.background));
    return judged(drawn(spec), { ...spec, background });
  });
  expect(rateOf(recoloured.map(({ background }) => background)).share).toBe(0);
});

test("gridFigures tells grids that are jittered, tilted, of another period, mixed or incomplete", () => {
  const draws = drawsOf(keyOf(12));
  const wrong: Readonly<Record<string, (spec: SceneSpec) => SceneSpec["subjects"]>> = {
    jittered: (spec) =>
      spec.subjects.map((one) => ({
        ...one,
        left: one.left + draws.uniform(-0.06, 0.06),
        top: one.top + draws.uniform(-0.06, 0.06),
      })),
    tilted: (spec) =>
      spec.subjects.map((one, i) => ({
        ...one,
        left: one.left - 0.03 * (Math.floor(i / 3) - 1),
        top: one.top + 0.03 * ((i % 3) - 1),
      })),
    narrow: (spec) =>
      spec.subjects.map((one) => ({
        ...one,
        side: 0.2,
        left: 0.5 - 0.1 + (one.left + one.side / 2 - 0.5) * 0.85,
        top: 0.5 - 0.1 + (one.top + one.side / 2 - 0.5) * 0.85,
      })),
    mixed: (spec) => spec.subjects.map((one) => ({ ...one, code: draws.pick(DRAWN_CODES) })),
    incomplete: (spec) => spec.subjects.slice(0, 8),
  };
  for (const [name, change] of Object.entries(wrong)) {
    const passed = scenes("grid", 40).map((spec) =>
      isStraightGrid(gridFigures(composeScene({ ...spec, subjects: change(spec) }, masters, 96))),
    );
    // A jitter may be small by chance.
    expect(rateOf(passed).share, name).toBeLessThanOrEqual(0.05);
  }
  for (const kind of ["single", "count", "relation"] as const) {
    const passed = scenes(kind, 40).map((spec) =>
      isStraightGrid(gridFigures(composeScene(spec, masters, 96))),
    );
    expect(rateOf(passed).share, kind).toBe(0);
  }
});

test("gridFigures gives period and tilt of a lattice drawn on purpose", () => {
  const [spec] = scenes("grid", 1);
  const tilt = 3 * (Math.PI / 180);
  const period = 0.3;
  const placed = spec!.subjects.map((one, i) => {
    const [x, y] = [(i % 3) - 1, Math.floor(i / 3) - 1].map((step) => step * period) as [number, number];
    return {
      ...one,
      side: 0.2,
      left: 0.4 + x * Math.cos(tilt) - y * Math.sin(tilt),
      top: 0.4 + x * Math.sin(tilt) + y * Math.cos(tilt),
    };
  });
  const figures = gridFigures(composeScene({ ...spec!, subjects: placed }, masters, 128));
  expect(Math.abs(figures.period[0] - period)).toBeLessThan(0.003);
  expect(Math.abs(figures.period[1] - period)).toBeLessThan(0.003);
  expect(Math.abs(figures.tilt - 3)).toBeLessThan(0.3);
  expect(figures.residual).toBeLessThan(0.01);
});

test("featuresOf averages areas, whatever the size", () => {
  const size = 50;
  const data = Uint8Array.from({ length: 3 * size * size }, (_, i) => (i * 7919) % 256);
  const picture = { width: size, height: size, data };
  const features = featuresOf(picture);
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
  expect(Math.abs(mean(features) - mean(data) / 255)).toBeLessThan(1e-6);
  // Cell (0,0) covers 3.125 pixels each way.
  let wanted = 0;
  for (let y = 0; y < 4; y++) {
    for (let x = 0; x < 4; x++) {
      const part = Math.min(3.125 - y, 1) * Math.min(3.125 - x, 1);
      wanted += (part * data[3 * (y * size + x)]!) / 255 / 3.125 ** 2;
    }
  }
  expect(Math.abs(features[0]! - wanted)).toBeLessThan(1e-6);
  expect(colourDistance(features, features)).toBe(0);
});

test("nearestFeatures finds a copy among training pictures and keeps new ones apart", () => {
  const pictures = scenes("single", 60).map((spec) => featuresOf(composeScene(spec, masters, 64)));
  const library = pictures.slice(0, 50);
  expect(nearestFeatures(pictures[17]!, library)).toEqual({ index: 17, distance: 0 });
  for (const fresh of pictures.slice(50)) {
    expect(nearestFeatures(fresh, library).distance).toBeGreaterThan(0.01);
  }
  expect(nearestFeatures(pictures[0]!, [])).toEqual({ index: -1, distance: Number.POSITIVE_INFINITY });
});

test("backgroundOf names every colour, also where it is somewhat off", () => {
  for (const [name, colour] of Object.entries(BACKGROUNDS)) {
    const data = Uint8Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.max(colour[i % 3]! - 12, 0));
    const found = backgroundOf({ width: 32, height: 32, data });
    expect(found.name).toBe(name);
    expect(found.distance).toBeLessThan(21);
  }
});

// From Wilson's formula, computed apart in Python.
test("rateOf gives Wilson's interval and passes over what was not asked", () => {
  const rate = rateOf([...Array(90).fill(true), ...Array(10).fill(false), undefined]);
  expect([rate.hits, rate.count, rate.share]).toEqual([90, 100, 0.9]);
  expect(rate.low).toBeCloseTo(0.82563, 4);
  expect(rate.high).toBeCloseTo(0.94477, 4);
  expect(rateOf([])).toEqual({ hits: 0, count: 0, share: 0, low: 0, high: 1 });
});

test("amongOthers has the right one and others once each, by the key", () => {
  const codes = DRAWN_CODES;
  const chosen = amongOthers(keyOf(1), codes[3]!, codes, 10);
  expect([chosen.length, new Set(chosen).size, chosen.includes(codes[3]!)]).toEqual([10, 10, true]);
  expect(amongOthers(keyOf(1), codes[3]!, codes, 10)).toEqual(chosen);
  expect(amongOthers(keyOf(2), codes[3]!, codes, 10)).not.toEqual(chosen);
  expect(new Set(amongOthers(keyOf(1), codes[3]!, codes, 100))).toEqual(new Set(codes));
});

test(
  "openJudging ofDrawings finds right drawings and not others, of the seed model's 48 too",
  SLOW,
  async () => {
    const { drawings, others, measured } = await judging.ofDrawings(subjects, 64);
    for (const told of ["features", "colours"] as const) {
      const { first, firstOfOwn, firstOfSeed } = drawings[told];
      for (const rate of [first, firstOfOwn, firstOfSeed]) {
        expect(rate.share, `${told}: ${rate.hits} of ${rate.count}`).toBeGreaterThanOrEqual(0.98);
        expect(rate.count).toBeGreaterThan(100);
      }
      expect(others[told].first.share).toBeLessThanOrEqual(0.02);
    }
    expect(measured["right at 64 px"]).toBeGreaterThan(0.9);
  },
);
