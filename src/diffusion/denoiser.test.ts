import { expect, test } from "vitest";
import { float32, row } from "../tensor/mod.ts";
import { combine } from "./arithmetic.ts";
import { denoiserOf, type Evaluation, type Network } from "./denoiser.ts";
import { guide, guidesAt } from "./guidance.ts";
import { dynamicThreshold, hardClip, limiterOf, unlimited } from "./limit.ts";
import { addNoise, cosineSchedule, levelAt } from "./schedule.ts";
import { mismatch, openGolden, RELEASED } from "./test-support.ts";

const golden = await openGolden("samplers.safetensors");
const conditional = golden("guidance/conditional");
const unconditional = golden("guidance/unconditional");
const level = levelAt(cosineSchedule(), 500);
const FORMULA = { abs: 2e-6, rel: 1e-6 };

test("guide follows the formulas of guidance and of its rescaling", () => {
  for (const weight of [0.5, 3]) {
    for (const [rescale, name] of [
      [0, `guidance/w${weight}`],
      [0.7, `guidance/w${weight}_rescale0.7`],
    ] as const) {
      const seen = guide({ weight, rescale }, conditional, unconditional);
      expect(mismatch(seen.data, golden(name).data, FORMULA), name).toBeUndefined();
    }
  }
});

test("guide treats each sample of a batch as it would alone", () => {
  const guidance = { weight: 3, rescale: 0.7 };
  const both = guide(guidance, conditional, unconditional);
  for (const i of [0, 1]) {
    expect(guide(guidance, row(conditional, i), row(unconditional, i))).toEqual(row(both, i));
  }
});

test("dynamicThreshold follows the formula, each sample on its own", () => {
  const x0 = golden("limit/x0");
  for (const quantile of [0.95, 0.99, 0.995]) {
    const name = `limit/dynamic${quantile}`;
    expect(mismatch(dynamicThreshold(quantile)(x0).data, golden(name).data, FORMULA), name).toBeUndefined();
    const held = dynamicThreshold(quantile, 1.5)(x0);
    expect(mismatch(held.data, golden(`${name}_max1.5`).data, FORMULA), name).toBeUndefined();
    expect(dynamicThreshold(quantile)(row(x0, 1))).toEqual(row(dynamicThreshold(quantile)(x0), 1));
  }
});

test("hardClip bounds and keeps the rest", () => {
  const x0 = float32([1, 5], [-3, -0.5, 0, 1.25, 2]);
  expect(Array.from(hardClip(1.25)(x0).data)).toEqual([-1.25, -0.5, 0, 1.25, 1.25]);
});

test("limiterOf lets the dynamic threshold win over the clip, and none be", () => {
  const x0 = golden("limit/x0");
  expect(limiterOf(RELEASED)(x0)).toEqual(hardClip(1)(x0));
  const dynamic = { ...RELEASED, dynamicThreshold: true, dynamicThresholdMax: 1.5 };
  expect(limiterOf(dynamic)(x0)).toEqual(dynamicThreshold(0.995, 1.5)(x0));
  expect(limiterOf({ ...RELEASED, clip: false })(x0)).toBe(x0);
});

test("guidesAt is true within the interval, both ends included", () => {
  const guidance = { weight: 3, rescale: 0, interval: { low: 200, high: 800 } };
  expect([199, 200, 500, 800, 801].map((time) => guidesAt(guidance, time))).toEqual([
    false,
    true,
    true,
    true,
    false,
  ]);
  expect(guidesAt({ weight: 3, rescale: 0 }, 999)).toBe(true);
  expect(guidesAt(undefined, 500)).toBe(false);
});

/** Answers as if it had seen through the noise, in the terms of one prediction type. */
function knowing(answer: (evaluation: Evaluation) => ReturnType<Network>): [Network, Evaluation[]] {
  const asked: Evaluation[] = [];
  return [
    (_, evaluation) => {
      asked.push(evaluation);
      return answer(evaluation);
    },
    asked,
  ];
}

test("denoiserOf finds x0 and eps again under every prediction type", async () => {
  const [x0, eps] = [conditional, unconditional];
  const x = addNoise(x0, eps, level);
  const outputs = {
    epsilon: eps,
    v_prediction: combine([level.signal, eps], [-level.noise, x0]),
    sample: x0,
  } as const;
  for (const prediction of ["epsilon", "v_prediction", "sample"] as const) {
    const [network] = knowing(async () => ({ conditional: outputs[prediction] }));
    const seen = await denoiserOf(network, { prediction, limit: unlimited })(x, level, 0);
    expect(mismatch(seen.x0.data, x0.data, FORMULA), prediction).toBeUndefined();
    expect(mismatch(seen.eps.data, eps.data, FORMULA), prediction).toBeUndefined();
  }
});

test("denoiserOf asks for the unconditional half only where guidance acts", async () => {
  const [network, asked] = knowing(async ({ guided }) =>
    guided ? { conditional, unconditional } : { conditional },
  );
  const guidance = { weight: 3, rescale: 0, interval: { low: 0, high: 600 } };
  const denoise = denoiserOf(network, { prediction: "sample", guidance, limit: unlimited });
  const inside = await denoise(conditional, level, 4);
  expect(inside.x0).toEqual(combine([4, conditional], [-3, unconditional]));
  const outside = await denoise(conditional, levelAt(cosineSchedule(), 601), 3);
  expect(outside.x0).toEqual(conditional);
  expect(asked).toEqual([
    { index: 4, time: 500, guided: true },
    { index: 3, time: 601, guided: false },
  ]);
  const plain = denoiserOf(network, { prediction: "sample", limit: unlimited });
  await plain(conditional, level, 0);
  expect(asked.at(-1)).toEqual({ index: 0, time: 500, guided: false });
});

test("denoiserOf limits x0 but leaves eps as the network has it", async () => {
  const [network] = knowing(async () => ({ conditional }));
  const { x0, eps } = await denoiserOf(network, { prediction: "epsilon", limit: hardClip(0.1) })(
    unconditional,
    level,
    0,
  );
  expect(Math.max(...x0.data)).toBeCloseTo(0.1, 7);
  expect(eps).toEqual(conditional);
});

test("denoiserOf rejects outputs of another shape and a missing half by name", async () => {
  const guidance = { weight: 3, rescale: 0 };
  const [short] = knowing(async () => ({ conditional: row(conditional, 0) }));
  const denoise = denoiserOf(short, { prediction: "epsilon", guidance, limit: unlimited });
  await expect(denoise(conditional, level, 0)).rejects.toThrow(
    "cannot use the output of the network: conditional: seen [1,4,6,10], wanted [2,4,6,10]",
  );
  const [half] = knowing(async () => ({ conditional }));
  const wanting = denoiserOf(half, { prediction: "epsilon", guidance, limit: unlimited });
  await expect(wanting(conditional, level, 0)).rejects.toThrow("unconditional");
});
