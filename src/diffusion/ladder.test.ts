import { expect, test } from "vitest";
import type { SchedulerConfig } from "./config.ts";
import { evaluationTimes } from "./ladder.ts";
import { planLadder, type SamplerName } from "./samplers/table.ts";
import { sigmaOf } from "./schedule.ts";
import { RELEASED, readGolden } from "./test-support.ts";
import { firstStepForStrength } from "./timesteps.ts";

type Times = number[] | { length: number; first: number[]; last: number[] };

function expectTimes(seen: number[], wanted: Times): void {
  const { length, first, last } = Array.isArray(wanted)
    ? { length: wanted.length, first: wanted, last: [] }
    : wanted;
  expect(seen).toHaveLength(length);
  expect(seen.slice(0, first.length)).toEqual(first);
  expect(seen.slice(seen.length - last.length)).toEqual(last);
}

test("planLadder places the steps of both profiles and Flash as the golden lists", async () => {
  const lists = readGolden<{
    ddpm_timesteps: Record<string, Times>;
    native_times: Record<string, Times>;
    flash_times: number[];
  }>("schedule.json");
  const times = (name: SamplerName, steps: number) =>
    evaluationTimes(planLadder(name, RELEASED, { steps, spacing: "uniform" }));
  for (const [steps, wanted] of Object.entries(lists.ddpm_timesteps)) {
    // 1000 steps with offset 1 ask for timestep 1000, which does not exist.
    if (steps !== "1000") expectTimes(times("ddpm", Number(steps)), wanted);
    else expect(() => times("ddpm", 1000)).toThrow("timestep 1000");
  }
  for (const [steps, wanted] of Object.entries(lists.native_times)) {
    expectTimes(times("native", Number(steps)), wanted);
  }
  expect(times("flash", 50)).toEqual(lists.flash_times);
});

test("firstStepForStrength enters where diffusers does", () => {
  const { img2img_first_index: wanted } = readGolden<{ img2img_first_index: Record<string, [number]> }>(
    "schedule.json",
  );
  for (const [key, [index]] of Object.entries(wanted)) {
    const [steps, strength] = key.split("x").map(Number);
    expect(firstStepForStrength(steps!, strength!), key).toBe(index);
  }
});

test("planLadder leaves out the first steps of image-to-image: by their share, or by their timesteps", () => {
  const times = (name: SamplerName, steps: number, strength: number) =>
    evaluationTimes(planLadder(name, RELEASED, { steps, spacing: "uniform", strength }));
  expect(times("ddpm", 25, 0.3)).toEqual([241, 201, 161, 121, 81, 41, 1]);
  expect(times("euler", 4, 0.5)).toEqual([251, 1]);
  expect(times("ddpm", 4, 1)).toHaveLength(4);
  // The original has no image-to-image: its times at most 999 times the strength are kept.
  expect(times("native", 10, 0.5)).toEqual([499, 399, 299, 199, 99]);
  expect(times("native", 10, 1)).toHaveLength(10);
  expect(times("flash", 4, 0.75)).toEqual([729, 479, 229]);
  for (const [name, least] of [
    ["ddpm", "0.04"],
    ["native", "0.04"],
    ["flash", "0.23"],
  ] as const) {
    expect(() => times(name, 25, 0.01), name).toThrow(
      `no step is left at this strength: strength: seen 0.01, wanted at least ${least}`,
    );
  }
});

test("planLadder places the steps as diffusers' schedulers in every timestep spacing", () => {
  interface Grid {
    readonly sampler: "ddpm" | "ddim" | "dpm++2m";
    readonly timestep_spacing: SchedulerConfig["timestepSpacing"];
    readonly steps: number;
    readonly times: number[];
  }
  for (const { sampler, timestep_spacing, steps, times } of readGolden<{ grids: Grid[] }>("samplers.json")
    .grids) {
    const config = { ...RELEASED, timestepSpacing: timestep_spacing };
    const seen = evaluationTimes(planLadder(sampler, config, { steps, spacing: "uniform" }));
    expect(seen, `${sampler} ${timestep_spacing} ${steps}`).toEqual(times);
  }
});

test("planLadder refuses steps and spacings that cannot be, with what could", () => {
  const plan = (name: SamplerName, steps: number, spacing: "uniform" | "karras" = "uniform") =>
    planLadder(name, RELEASED, { steps, spacing });
  for (const steps of [0, -4, 2.5, Number.NaN]) {
    expect(() => plan("euler", steps)).toThrow(
      `cannot lay out the steps: steps: seen ${steps}, wanted a whole number`,
    );
  }
  expect(() => plan("ddim", 1001)).toThrow("seen 1001 levels, wanted at most 1000");
  expect(() => plan("dpm++2m", 1000)).toThrow("seen 1001 levels, wanted at most 1000");
  expect(() => plan("ddpm", 25, "karras")).toThrow(
    "DDPM has no such spacing: spacing: seen karras, wanted uniform",
  );
});

test("planLadder spaces karras levels evenly in sigma^(1/7) between the ends of the grid", () => {
  const ladder = planLadder("euler", RELEASED, { steps: 9, spacing: "karras" });
  const grid = planLadder("euler", RELEASED, { steps: 9, spacing: "uniform" });
  expect(ladder).toHaveLength(10);
  expect(ladder[0]!.time).toBeCloseTo(grid[0]!.time, 6);
  expect(ladder[8]!.time).toBeCloseTo(grid[8]!.time, 6);
  const roots = ladder.slice(0, -1).map((level) => sigmaOf(level) ** (1 / 7));
  const gaps = roots.slice(1).map((value, i) => roots[i]! - value);
  for (const gap of gaps) expect(gap).toBeCloseTo(gaps[0]!, 12);
  for (const { signal, noise } of ladder) expect(signal ** 2 + noise ** 2).toBeCloseTo(1, 12);
  expect(planLadder("euler", RELEASED, { steps: 1, spacing: "karras" })[0]!.time).toBeCloseTo(1, 6);
});
