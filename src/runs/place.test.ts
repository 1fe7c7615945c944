import { expect, test } from "vitest";
import { learningRateAt, placeOf, samplesBefore, totalUpdates } from "./place.ts";
import { tinyRun } from "./test-support.ts";

const { stages } = tinyRun("none");

test("placeOf walks through the stages, and ends behind the last", () => {
  expect(totalUpdates(stages)).toBe(6);
  const places = [0, 2, 3, 5].map((update) => placeOf(stages, update)!);
  expect(places.map(({ index, within }) => [index, within])).toEqual([
    [0, 0],
    [0, 2],
    [1, 0],
    [1, 2],
  ]);
  expect(placeOf(stages, 6)).toBeUndefined();
  expect([0, 1, 3, 4, 6].map((update) => samplesBefore(stages, update))).toEqual([0, 2, 6, 10, 18]);
});

test("learningRateAt rises over the warm-up and falls along a cosine to its share", () => {
  const stage = { ...stages[0]!, batch: 10, samples: 1000, warmUp: 100, learningRate: 1, finalShare: 0.1 };
  expect(learningRateAt(stage, 4)).toBeCloseTo(0.5, 12);
  expect(learningRateAt(stage, 9)).toBeCloseTo(1, 12);
  expect(learningRateAt(stage, 54)).toBeCloseTo(0.55, 12);
  expect(learningRateAt(stage, 99)).toBeCloseTo(0.1, 12);
});
