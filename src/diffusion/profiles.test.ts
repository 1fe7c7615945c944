import { expect, test } from "vitest";
import { PROFILES } from "./profiles.ts";

test("PROFILES turn guidance off where each implementation does", () => {
  const weights = [0, 0.5, 1, 1.01, 3];
  expect(weights.map(PROFILES.native.guides)).toEqual([false, true, true, true, true]);
  expect(weights.map(PROFILES.diffusers.guides)).toEqual([false, false, false, true, true]);
});
