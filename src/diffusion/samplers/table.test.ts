import { expect, test } from "vitest";
import { RELEASED } from "../test-support.ts";
import { planLadder, SAMPLERS, type SamplerName, samplerNamed } from "./table.ts";

test("samplerNamed takes every name of the table and suggests the nearest for another", () => {
  for (const name of Object.keys(SAMPLERS)) expect(samplerNamed(name)).toBe(name);
  expect(() => samplerNamed("eulr")).toThrow('unknown sampler: sampler: seen "eulr"');
  expect(() => samplerNamed("eulr")).toThrow("did you mean euler?");
  expect(() => samplerNamed("toString")).toThrow("unknown sampler");
});

test("SAMPLERS all plan falling noise from one step up", () => {
  for (const name of Object.keys(SAMPLERS) as SamplerName[]) {
    for (const steps of [1, 2, 25]) {
      const ladder = planLadder(name, RELEASED, { steps, spacing: "uniform" });
      const noises = ladder.map((level) => level.noise);
      expect(noises, `${name} ${steps}`).toEqual([...noises].sort((a, b) => b - a));
      expect(new Set(noises).size).toBe(noises.length);
    }
  }
});
