import { expect, test } from "vitest";
import type { Latent } from "../arithmetic.ts";
import { type Denoiser, denoiserOf } from "../denoiser.ts";
import { dynamicThreshold, hardClip, unlimited } from "../limit.ts";
import {
  collect,
  entryOf,
  FLASH,
  fakeNetwork,
  mismatch,
  openGolden,
  RELEASED,
  SCHEDULE,
  SCHEDULE_NATIVE,
  stack,
} from "../test-support.ts";
import type { Step } from "./driver.ts";
import { posterior } from "./posterior.ts";
import { planLadder, SAMPLERS, type SamplerName } from "./table.ts";

const golden = await openGolden("schedule.safetensors");
const offset = golden("fake/offset");

interface Trace {
  readonly steps: Step[];
  /** What the network was shown. */
  readonly seen: Latent[];
  readonly eps: Latent[];
}

/** Runs a sampler over the golden noise of `prefix`; it must ask for noise in exactly the steps of `drawn`. */
async function traceOf(
  name: SamplerName,
  steps: number,
  prefix: string,
  denoiser: Denoiser,
  drawn: (index: number) => boolean,
): Promise<Trace> {
  const seen: Latent[] = [];
  const eps: Latent[] = [];
  const watched: Denoiser = async (x, level, evaluation) => {
    const result = await denoiser(x, level, evaluation);
    seen.push(x);
    eps.push(result.eps);
    return result;
  };
  const noise = golden(`${prefix}/noise`);
  const asked: number[] = [];
  const run = SAMPLERS[name].run(
    watched,
    { index: 0, x: golden(`${prefix}/x_init`) },
    planLadder(name, RELEASED, { steps, spacing: "uniform" }),
    (index) => {
      asked.push(index);
      return entryOf(noise, index);
    },
  );
  const trace: Trace = { steps: await collect(run), seen, eps };
  expect(asked).toEqual(trace.steps.map((step) => step.index).filter(drawn));
  return trace;
}

for (const steps of [4, 25]) {
  test(`ddpm follows the golden trace of ${steps} steps`, async () => {
    const prefix = `ddpm${steps}`;
    const denoiser = denoiserOf(fakeNetwork(offset), { prediction: "epsilon", limit: hardClip(1) });
    const trace = await traceOf("ddpm", steps, prefix, denoiser, () => true);
    expect(trace.steps.map((step) => step.t)).toEqual(Array.from(golden(`${prefix}/timesteps`).data));
    expect(mismatch(stack(trace.eps), golden(`${prefix}/eps`).data, SCHEDULE)).toBeUndefined();
    expect(
      mismatch(stack(trace.steps.map((s) => s.x)), golden(`${prefix}/prev`).data, SCHEDULE),
    ).toBeUndefined();
    if (steps === 4) {
      const x0 = stack(trace.steps.map((step) => step.x0));
      expect(mismatch(x0, golden("ddpm4/x0_clipped").data, SCHEDULE)).toBeUndefined();
    }
  });
}

const NATIVE = [
  { prefix: "native50_q99_w3", steps: 50, quantile: 0.99, weight: 3 },
  { prefix: "native10_q99_w3", steps: 10, quantile: 0.99, weight: 3 },
  { prefix: "native10_q95_w4", steps: 10, quantile: 0.95, weight: 4 },
  { prefix: "native4_q95_w0", steps: 4, quantile: 0.95, weight: 0 },
];

for (const { prefix, steps, quantile, weight } of NATIVE) {
  test(`native follows the golden trace ${prefix}`, async () => {
    const raw: Latent[] = [];
    const threshold = dynamicThreshold(quantile);
    const denoiser = denoiserOf(fakeNetwork(offset), {
      prediction: "epsilon",
      ...(weight === 0 ? {} : { guidance: { weight, rescale: 0 } }),
      limit: (x0) => {
        raw.push(x0);
        return threshold(x0);
      },
    });
    const trace = await traceOf("native", steps, prefix, denoiser, (index) => index < steps - 1);
    const ladder = planLadder("native", RELEASED, { steps, spacing: "uniform" });
    const sigmas = ladder.slice(1).map((to, i) => posterior(ladder[i]!, to).deviation);
    expect(mismatch(sigmas, golden(`${prefix}/sigma`).data, SCHEDULE_NATIVE)).toBeUndefined();
    for (const [i, step] of trace.steps.entries()) {
      const wanted = entryOf(golden(`${prefix}/x`), i).data;
      expect(mismatch(step.x.data, wanted, SCHEDULE_NATIVE), `x of step ${i}`).toBeUndefined();
    }
    if (steps === 50) return;
    for (const [i, step] of trace.steps.entries()) {
      const wanted = entryOf(golden(`${prefix}/x0`), i).data;
      expect(mismatch(step.x0.data, wanted, SCHEDULE_NATIVE), `x0 of step ${i}`).toBeUndefined();
      const wantedRaw = entryOf(golden(`${prefix}/x0_raw`), i).data;
      expect(mismatch(raw[i]!.data, wantedRaw, SCHEDULE_NATIVE), `x0_raw of step ${i}`).toBeUndefined();
    }
  });
}

test("flash follows the golden trace", async () => {
  const denoiser = denoiserOf(fakeNetwork(offset), { prediction: "epsilon", limit: unlimited });
  const trace = await traceOf("flash", 4, "flash", denoiser, () => true);
  expect(mismatch(stack(trace.seen), golden("flash/x_t").data, FLASH)).toBeUndefined();
  expect(mismatch(stack(trace.steps.map((s) => s.x0)), golden("flash/x0").data, FLASH)).toBeUndefined();
  expect(trace.steps.map((step) => step.t)).toEqual([979, 729, 479, 229]);
});
