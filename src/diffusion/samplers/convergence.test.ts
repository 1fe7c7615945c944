import { expect, test } from "vitest";
import { keyOf, normal } from "../../random/mod.ts";
import { float32 } from "../../tensor/mod.ts";
import { combine, type Latent } from "../arithmetic.ts";
import type { Denoiser } from "../denoiser.ts";
import type { Ladder } from "../ladder.ts";
import { addNoise, CLEAN, cosineSchedule, levelWithSigma, sigmaOf } from "../schedule.ts";
import { collect, RELEASED } from "../test-support.ts";
import { firstStepForStrength } from "../timesteps.ts";
import { planLadder, SAMPLERS, type SamplerName } from "./table.ts";

/*
 * Pictures whose values are N(0, SPREAD^2): the best denoiser is known, x0 = SPREAD^2 signal / (SPREAD^2 signal^2 +
 * noise^2) x, and so is the exact solution of the probability flow: it keeps x over its own standard deviation.
 */
const SPREAD = 0.5;
const schedule = cosineSchedule();

const perfect: Denoiser = async (x, { signal, noise }) => {
  const toX0 = (SPREAD ** 2 * signal) / variance({ signal, noise });
  return { x0: combine([toX0, x]), eps: combine([(1 - signal * toX0) / noise, x]) };
};

function variance({ signal, noise }: { signal: number; noise: number }): number {
  return SPREAD ** 2 * signal ** 2 + noise ** 2;
}

/** Even steps in log sigma from 20 to 0.05: one method against its steps, without the last step into the clean end. */
function geometricLadder(steps: number): Ladder {
  return Array.from({ length: steps + 1 }, (_, i) =>
    levelWithSigma(schedule, 20 * (0.05 / 20) ** (i / steps)),
  );
}

function noNoise(): Latent {
  throw new Error("a deterministic sampler asked for noise");
}

/** Largest difference from the exact solution, as a share of its standard deviation. */
async function errorOf(name: SamplerName, steps: number): Promise<number> {
  const ladder = geometricLadder(steps);
  const x = normal(keyOf(11), [1, 4, 6, 10]);
  const run = SAMPLERS[name].run(perfect, { index: 0, x }, ladder, noNoise);
  const last = (await collect(run)).at(-1)!;
  const exact = Math.sqrt(variance(ladder.at(-1)!) / variance(ladder[0]!));
  return Math.max(...last.x.data.map((value, i) => Math.abs(value - exact * x.data[i]!)));
}

for (const [name, order] of [
  ["euler", 1],
  ["ddim", 1],
  ["dpm++2m", 2],
] as const) {
  test(`${name} converges with order ${order} to the known solution`, async () => {
    const counts = [20, 40, 80, 160];
    const errors: number[] = [];
    for (const steps of counts) errors.push(await errorOf(name, steps));
    const orders = errors.slice(1).map((error, i) => Math.log2(errors[i]! / error));
    for (const seen of orders)
      expect(seen, `orders ${orders}, errors ${errors}`).toBeGreaterThan(order - 0.25);
    expect(orders.at(-1)!, `orders ${orders}`).toBeLessThan(order + 0.25);
  });
}

/**
 * How far the spread of the results is from that of the pictures. The samplers are linear here and each value has its
 * own sources, so value j answers a unit of source j (the start, then each step's noise) and the squares add up: the
 * exact spread, without chance.
 */
async function spreadErrorOf(name: SamplerName, steps: number): Promise<number> {
  const ladder = geometricLadder(steps);
  const unit = (source: number, size: number) =>
    float32(
      [steps + 1],
      Array.from({ length: steps + 1 }, (_, j) => (j === source ? size : 0)),
    );
  const start = { index: 0, x: unit(0, Math.sqrt(variance(ladder[0]!))) };
  const run = SAMPLERS[name].run(perfect, start, ladder, (i) => unit(i + 1, 1));
  const { x } = (await collect(run)).at(-1)!;
  const seen = x.data.reduce((sum, value) => sum + value ** 2, 0);
  return Math.abs(Math.sqrt(seen / variance(ladder.at(-1)!)) - 1);
}

for (const [name, order] of [
  ["ddpm", 1],
  ["native", 1],
  ["euler-ancestral", 1],
  ["dpm++2m-sde", 2],
] as const) {
  test(`${name} converges with order ${order} to the spread of the pictures`, async () => {
    const errors: number[] = [];
    for (const steps of [25, 50, 100, 200]) errors.push(await spreadErrorOf(name, steps));
    const orders = errors.slice(1).map((error, i) => Math.log2(errors[i]! / error));
    for (const seen of orders)
      expect(seen, `orders ${orders}, errors ${errors}`).toBeGreaterThan(order - 0.25);
  });
}

test("flash ends with the expected picture after one step from pure noise", async () => {
  const ladder = planLadder("flash", RELEASED, { steps: 4, spacing: "uniform" });
  const x = normal(keyOf(1), [1, 4, 6, 10]);
  const [first] = await collect(SAMPLERS.flash.run(perfect, { index: 0, x }, ladder.slice(0, 2), () => x));
  const { signal, noise } = ladder[0]!;
  const factor = ((SPREAD ** 2 * signal) / variance({ signal, noise })) * (signal + noise);
  for (const [i, value] of first!.x0.data.entries()) expect(value).toBeCloseTo(factor * x.data[i]!, 6);
});

test("a sampler entered at a later step with addNoise keeps to the picture, more so at low strength", async () => {
  const ladder = planLadder("dpm++2m", RELEASED, { steps: 20, spacing: "uniform" });
  const shape = [1, 4, 6, 10];
  const picture = combine([SPREAD, normal(keyOf(2), shape)]);
  const changeAt = async (strength: number) => {
    const index = firstStepForStrength(20, strength);
    const x = addNoise(picture, normal(keyOf(3), shape), ladder[index]!);
    const steps = await collect(SAMPLERS["dpm++2m"].run(perfect, { index, x }, ladder, noNoise));
    expect(steps).toHaveLength(20 - index);
    return Math.max(...steps.at(-1)!.x.data.map((value, i) => Math.abs(value - picture.data[i]!)));
  };
  const [low, middle, high] = [await changeAt(0.2), await changeAt(0.5), await changeAt(1)];
  expect(low).toBeLessThan(middle);
  expect(middle).toBeLessThan(high);
  expect(ladder.at(-1)).toEqual(CLEAN);
  expect(sigmaOf(CLEAN)).toBe(0);
});
