import { expect, test } from "vitest";
import type { Latent } from "../arithmetic.ts";
import { parseSchedulerConfig } from "../config.ts";
import { denoiserOf } from "../denoiser.ts";
import { evaluationTimes, karrasLevels, type Ladder, type Spacing } from "../ladder.ts";
import { limiterOf } from "../limit.ts";
import { CLEAN, cosineSchedule, levelAt } from "../schedule.ts";
import { collect, entryOf, fakeNetwork, mismatch, openGolden, readGolden } from "../test-support.ts";
import { stateAfter } from "./driver.ts";
import { planLadder, SAMPLERS, type SamplerName } from "./table.ts";

/** golden/make/samplers.py says how diffusers made these and which cases need a word. */
interface Case {
  readonly name: string;
  readonly sampler: SamplerName;
  readonly spacing: Spacing | "karras-whole";
  readonly steps: number;
  readonly times: number[];
  readonly config: Record<string, unknown>;
}

const golden = await openGolden("samplers.safetensors");
const { cases } = readGolden<{ cases: Case[] }>("samplers.json");
const noise = (index: number) => entryOf(golden("noise"), index);

function ladderOf({ sampler, spacing, steps, times, config, name }: Case): Ladder {
  if (spacing !== "karras-whole")
    return planLadder(sampler, parseSchedulerConfig(config, name), { steps, spacing });
  const schedule = cosineSchedule();
  const levels = karrasLevels(schedule, levelAt(schedule, 999), levelAt(schedule, 0), steps);
  return [...levels.map((level, i) => ({ ...level, time: times[i]! })), CLEAN];
}

for (const example of cases) {
  const { name, sampler, times } = example;
  test(`${sampler} follows diffusers: ${name}`, async () => {
    const config = parseSchedulerConfig(example.config, name);
    const ladder = ladderOf(example);
    // Karras times are interpolated in float32 there.
    const tolerance = { abs: 1e-4, rel: 0 };
    expect(mismatch(evaluationTimes(ladder), times, tolerance)).toBeUndefined();
    const denoiser = denoiserOf(fakeNetwork(golden("offset")), {
      prediction: config.prediction,
      limit: limiterOf(config),
    });
    const run = SAMPLERS[sampler].run(denoiser, { index: 0, x: golden("x_init") }, ladder, noise);
    const steps = await collect(run);
    expect(steps).toHaveLength(example.steps);
    for (const { index, total, t, x } of steps) {
      expect([total, t]).toEqual([example.steps, ladder[index]!.time]);
      const wanted = entryOf(golden(`${name}/x`), index);
      expect(mismatch(x.data, wanted.data, { abs: 1e-4, rel: 0 }), `step ${index}`).toBeUndefined();
    }
  });
}

for (const sampler of Object.keys(SAMPLERS) as SamplerName[]) {
  test(`${sampler} goes on from any saved step to the same bits`, async () => {
    const config = parseSchedulerConfig({ beta_schedule: "squaredcos_cap_v2", steps_offset: 1 }, "test");
    const denoiser = denoiserOf(fakeNetwork(golden("offset")), {
      prediction: "v_prediction",
      limit: limiterOf(config),
    });
    const ladder = planLadder(sampler, config, { steps: 4, spacing: "uniform" });
    const { run } = SAMPLERS[sampler];
    const whole = await collect(run(denoiser, { index: 0, x: golden("x_init") }, ladder, noise));
    expect(whole).toHaveLength(4);
    for (const step of whole) {
      const rest = await collect(run(denoiser, stateAfter(step), ladder, noise));
      expect(rest).toEqual(whole.slice(step.index + 1));
    }
  });

  test(`${sampler} leaves its inputs alone and evaluates the network at the planned times`, async () => {
    const config = parseSchedulerConfig({ beta_schedule: "squaredcos_cap_v2", steps_offset: 1 }, "test");
    const ladder = planLadder(sampler, config, { steps: 4, spacing: "uniform" });
    const x = golden("x_init");
    const before = Float32Array.from(x.data);
    const asked: [number, number][] = [];
    const fake = fakeNetwork(golden("offset"));
    const denoiser = denoiserOf(
      (latent, evaluation) => {
        asked.push([evaluation.index, evaluation.time]);
        return fake(latent, evaluation);
      },
      { prediction: "sample", limit: (x0: Latent) => x0 },
    );
    await collect(SAMPLERS[sampler].run(denoiser, { index: 0, x }, ladder, noise));
    expect(asked).toEqual(Array.from(evaluationTimes(ladder).entries()));
    expect(x.data).toEqual(before);
  });
}
