import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  addNoise,
  cosineSchedule,
  type Denoiser,
  denoiserOf,
  dynamicThreshold,
  FLASH_TIMES,
  firstStepForStrength,
  gridTimes,
  type Latent,
  levelAt,
  limiterOf,
  linearSchedule,
  type Network,
  nativeTimes,
  parseSchedulerConfig,
  planLadder,
  posterior,
  predictedEps,
  predictedX0,
  predictionTarget,
  SAMPLERS,
  type SamplerName,
  type Schedule,
  type SchedulerConfig,
  type Step,
  scheduleOf,
  unlimited,
} from "../../src/diffusion/mod.ts";
import { concatRows, float32, row, type Tensor } from "../../src/tensor/mod.ts";
import { type Context, entryOf, int32, stack } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";
import { EXACT, type Report } from "./report.ts";

export const SCHEDULE_FILE = "schedule.safetensors";

const times = z.union([
  z.array(z.int()),
  z.object({ length: z.int(), first: z.array(z.int()), last: z.array(z.int()) }),
]);
type Times = z.infer<typeof times>;
const nativeRun = z.object({ times: z.array(z.int()), quantile: z.number(), guidance: z.number() });
const schema = z.looseObject({
  ddpm_timesteps: z.record(z.string(), times).default({}),
  native_times: z.record(z.string(), times).default({}),
  flash_times: z.array(z.int()).optional(),
  img2img_first_index: z.record(z.string(), z.tuple([z.int()])).default({}),
  beta: z.object({ linear: z.string() }).optional(),
});

/** Schedules, timestep lists, conversions between predictions, and traces of samplers on a formula as network. */
export async function schedule({ folder, fixture: open, report }: Context): Promise<void> {
  const fixture = open(SCHEDULE_FILE);
  if (fixture === undefined) return;
  const about = await readJsonAs(folder, "schedule.json", schema);
  const config = await readScheduler(folder, fixture.model ?? "tiny-k3/scheduler");
  const released = scheduleOf(config);
  const linear = linearFrom(about.beta?.linear);
  const schedules: Readonly<Record<string, Schedule>> = {
    alphas_cumprod: released,
    alphas_cumprod_f64: released,
    "native/alphas_cumprod": cosineSchedule(config.trainTimesteps),
    "linear/alphas_cumprod": linear,
  };
  for (const [name, { alphasCumprod }] of Object.entries(schedules)) {
    if (fixture.has(name)) fixture.expect(name, float32([alphasCumprod.length], alphasCumprod));
  }
  timestepLists(about, config, report);
  if (fixture.has("conv/t")) conversions(fixture, released, linear);
  for (const prefix of tracesOf(fixture)) {
    const sampler = Object.keys(TRACES).find((name) => prefix.startsWith(name)) as
      | keyof typeof TRACES
      | undefined;
    if (sampler === undefined) report.fail(`${SCHEDULE_FILE} ${prefix}`, "an unknown sampler");
    else await TRACES[sampler]({ fixture, prefix, config, run: about[`${prefix}/`], report });
  }
}

async function readScheduler(folder: string, path: string): Promise<SchedulerConfig> {
  const where = `${path}/scheduler_config.json`;
  return parseSchedulerConfig(JSON.parse(await readFile(join(folder, where), "utf8")), where);
}

/** The ends and the number of steps as schedule.json writes them: `linspace(0.0001, 0.02, 1000)`. */
function linearFrom(text: string | undefined): Schedule {
  const [first, last, count] = [...(text ?? "").matchAll(/[\d.e-]*\d/g)].map(([number]) => Number(number));
  return linearSchedule(first ?? 1e-4, last ?? 2e-2, count ?? 1000);
}

function timestepLists(about: z.infer<typeof schema>, config: SchedulerConfig, report: Report): void {
  const count = config.trainTimesteps;
  const lists: readonly (readonly [string, readonly number[], Times])[] = [
    ...Object.entries(about.ddpm_timesteps).map(
      ([steps, wanted]) =>
        [
          `ddpm_timesteps ${steps}`,
          gridTimes(config.timestepSpacing, count, Number(steps), config.stepsOffset),
          wanted,
        ] as const,
    ),
    ...Object.entries(about.native_times).map(
      ([steps, wanted]) => [`native_times ${steps}`, nativeTimes(count, Number(steps)), wanted] as const,
    ),
    ...Object.entries(about.img2img_first_index).map(([key, wanted]) => {
      const [steps, strength] = key.split("x").map(Number) as [number, number];
      return [`img2img_first_index ${key}`, [firstStepForStrength(steps, strength)], wanted] as const;
    }),
    ...(about.flash_times === undefined
      ? []
      : [["flash_times", [...FLASH_TIMES], about.flash_times] as const]),
  ];
  for (const [name, seen, wanted] of lists) {
    const [mine, theirs] = Array.isArray(wanted)
      ? [seen, wanted]
      : [endsOf(seen, wanted), storedEnds(wanted)];
    report.compare(
      `schedule.json ${name}`,
      EXACT,
      int32([mine.length], mine),
      int32([theirs.length], theirs),
    );
  }
}

/** Long lists are stored by their ends and length. */
function endsOf(seen: readonly number[], { first, last }: Exclude<Times, number[]>): number[] {
  return [seen.length, ...seen.slice(0, first.length), ...seen.slice(-last.length)];
}

function storedEnds({ length, first, last }: Exclude<Times, number[]>): number[] {
  return [length, ...first, ...last];
}

function conversions(fixture: Fixture, released: Schedule, linear: Schedule): void {
  const x0 = fixture.float32("conv/x0");
  const eps = fixture.float32("conv/eps");
  const levels = fixture.integers("conv/t").map((time) => levelAt(released, time));
  const noisy = levels.map((level) => addNoise(x0, eps, level));
  const stored = levels.map((_, i) => entryOf(fixture.float32("conv/x_t"), i));
  const v = levels.map((level) => predictionTarget("v_prediction", x0, eps, level));
  const seen: Readonly<Record<string, readonly Latent[]>> = {
    "conv/x_t": noisy,
    "conv/native_x_t": noisy,
    "conv/v": v,
    "conv/x0_from_eps": levels.map((level, i) => predictedX0("epsilon", eps, stored[i]!, level)),
    "conv/eps_from_x0": levels.map((level, i) => predictedEps("sample", x0, stored[i]!, level)),
    "conv/x0_from_v": levels.map((level, i) => predictedX0("v_prediction", v[i]!, stored[i]!, level)),
    "qsample/linear_x_t": levels.map(({ time }) => addNoise(x0, eps, levelAt(linear, time))),
  };
  for (const [name, latents] of Object.entries(seen))
    if (fixture.has(name)) fixture.expect(name, stack(latents));
  for (const [name, of] of Object.entries({
    "qsample/cosine_two_t": released,
    "qsample/diffusers_two_t": released,
    "qsample/linear_two_t": linear,
  })) {
    if (!fixture.has(name)) continue;
    const rows = fixture
      .integers("qsample/two_t")
      .map((time, k) => addNoise(row(x0, k), row(eps, k), levelAt(of, time)));
    fixture.expect(name, concatRows(rows));
  }
}

/** Prefixes of all runs that the fixture starts from a stored latent. */
function tracesOf(fixture: Fixture): string[] {
  const prefixes = fixture.left().flatMap((name) => {
    const prefix = name.split("/")[0]!;
    return fixture.has(`${prefix}/x_init`) ? [prefix] : [];
  });
  return [...new Set(prefixes)];
}

interface TraceCase {
  readonly fixture: Fixture;
  readonly prefix: string;
  readonly config: SchedulerConfig;
  /** What schedule.json says of the run. */
  readonly run: unknown;
  readonly report: Report;
}

/** How each sampler's runs are made and stored, by the beginning of their names. */
const TRACES = {
  ddpm: async ({ fixture, prefix, config }: TraceCase) => {
    const limit = limiterOf(config);
    const denoiser = denoiserOf(fakeNetwork(fixture), { prediction: "epsilon", limit });
    const trace = await follow(fixture, prefix, "ddpm", config, denoiser);
    expectThere(fixture, prefix, {
      timesteps: int32(
        [trace.steps.length],
        trace.steps.map(({ t }) => t),
      ),
      eps: stack(trace.eps),
      prev: stack(trace.steps.map(({ x }) => x)),
      x0_clipped: stack(trace.steps.map(({ x0 }) => x0)),
    });
  },
  native: async ({ fixture, prefix, config, run, report }: TraceCase) => {
    const { quantile, guidance, times } = nativeRun.parse(run);
    const raw: Latent[] = [];
    const threshold = dynamicThreshold(quantile);
    const denoiser = denoiserOf(fakeNetwork(fixture), {
      prediction: "epsilon",
      guidance: { weight: guidance, rescale: 0 },
      limit: (x0) => {
        raw.push(x0);
        return threshold(x0);
      },
    });
    const trace = await follow(fixture, prefix, "native", config, denoiser);
    const { ladder } = trace;
    const seenTimes = ladder.map(({ time }) => time);
    report.compare(
      `schedule.json ${prefix} times`,
      EXACT,
      int32([ladder.length], seenTimes),
      int32([times.length], times),
    );
    expectThere(fixture, prefix, {
      sigma: float32(
        [ladder.length - 1],
        ladder.slice(1).map((to, i) => posterior(ladder[i]!, to).deviation),
      ),
      x: stack(trace.steps.map(({ x }) => x)),
      x0: stack(trace.steps.map(({ x0 }) => x0)),
      x0_raw: stack(raw),
    });
  },
  flash: async ({ fixture, prefix, config }: TraceCase) => {
    const denoiser = denoiserOf(fakeNetwork(fixture), { prediction: "epsilon", limit: unlimited });
    const trace = await follow(fixture, prefix, "flash", config, denoiser);
    expectThere(fixture, prefix, { x_t: stack(trace.seen), x0: stack(trace.steps.map(({ x0 }) => x0)) });
  },
} as const;

function expectThere(fixture: Fixture, prefix: string, seen: Readonly<Record<string, Tensor>>): void {
  for (const [name, tensor] of Object.entries(seen)) {
    if (fixture.has(`${prefix}/${name}`)) fixture.expect(`${prefix}/${name}`, tensor);
  }
}

/** Runs a sampler over stored noise. */
async function follow(
  fixture: Fixture,
  prefix: string,
  sampler: SamplerName,
  config: SchedulerConfig,
  denoiser: Denoiser,
) {
  const noise = fixture.float32(`${prefix}/noise`);
  const ladder = planLadder(sampler, config, { steps: noise.shape[0]!, spacing: "uniform" });
  const steps: Step[] = [];
  const seen: Latent[] = [];
  const eps: Latent[] = [];
  const watched: Denoiser = async (x, level, evaluation) => {
    const result = await denoiser(x, level, evaluation);
    seen.push(x);
    eps.push(result.eps);
    return result;
  };
  const start = { index: 0, x: fixture.float32(`${prefix}/x_init`) };
  for await (const step of SAMPLERS[sampler].run(watched, start, ladder, (index) => entryOf(noise, index))) {
    steps.push(step);
  }
  return { ladder, steps, seen, eps };
}

/** The network of the traces: the formulas that schedule.json gives under `fake_model`. */
function fakeNetwork(fixture: Fixture): Network {
  const offset = fixture.float32("fake/offset");
  const output = (x: Latent, ofX: number, shift: number, ofOffset: number): Latent => ({
    ...x,
    data: x.data.map((value, i) => ofX * value + shift + ofOffset * offset.data[i]!),
  });
  return async (x, { time, guided }) => {
    const shift = 0.1 * Math.cos(0.01 * time);
    const conditional = output(x, 0.3, shift, 0.4);
    return guided ? { conditional, unconditional: output(x, 0.25, -shift, 0.3) } : { conditional };
  };
}
