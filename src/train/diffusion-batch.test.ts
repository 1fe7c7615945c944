import { expect, test } from "vitest";
import { addNoise, cosineSchedule, levelAt, predictedEps, predictedX0 } from "../diffusion/mod.ts";
import { keyOf } from "../random/mod.ts";
import { float32, row, type Tensor } from "../tensor/mod.ts";
import { diffusionBatch, lossWeight, type Objective, stratifiedTimes } from "./mod.ts";

const objective: Objective = {
  schedule: cosineSchedule(),
  prediction: "v_prediction",
  weighting: "even",
  dropout: 0,
  profile: "diffusers",
};
const samples = {
  latents: float32([2, 1, 2, 3], [1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6]),
  hidden: float32(
    [2, 4, 2],
    Array.from({ length: 16 }, (_, i) => i + 1),
  ),
  tokens: [2, 4],
};
const numbers = (t: Tensor | undefined) => [...(t!.data as Float32Array)];

test("stratifiedTimes takes one timestep from each equal part, in an order of its own", () => {
  const times = stratifiedTimes(keyOf(3), 50, 1000);
  const sorted = [...times].sort((a, b) => a - b);
  expect(sorted.map((time) => Math.floor(time / 20))).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(times).not.toEqual(sorted);
  expect(stratifiedTimes(keyOf(3), 50, 1000)).toEqual(times);
  expect(stratifiedTimes(keyOf(4), 50, 1000)).not.toEqual(times);
});

test.each(["epsilon", "v_prediction", "sample"] as const)(
  "diffusionBatch: a network that says the target of %s would find the clean latent again",
  (prediction) => {
    const { feeds, times } = diffusionBatch(samples, { ...objective, prediction }, keyOf(1));
    const [noisy, target] = [feeds["sample"], feeds["target"]] as Tensor<"float32">[];
    let worst = 0;
    times.forEach((time, b) => {
      const level = levelAt(objective.schedule, time);
      const [x, out] = [row(noisy!, b), row(target!, b)];
      const clean = predictedX0(prediction, out, x, level);
      const again = addNoise(clean, predictedEps(prediction, out, x, level), level);
      numbers(again).forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - x.data[i]!));
      });
      const own = row(samples.latents, b);
      // Near pure noise the clean latent is a small rest of large numbers.
      const scale = Math.max(1, level.noise / level.signal);
      numbers(clean).forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - own.data[i]!) / scale);
      });
    });
    expect(worst).toBeLessThan(2e-5);
  },
);

test("diffusionBatch lays texts out as inference does", () => {
  const { feeds } = diffusionBatch(samples, objective, keyOf(1));
  const lowest = -3.4028234663852886e38;
  expect(numbers(feeds["mask_bias"])).toEqual([0, 0, -10000, lowest, 0, 0, 0, 0]);
  const third = Math.fround(1 / 3);
  expect(numbers(feeds["pool_weights"])).toEqual([third, third, third, 0, 0.25, 0.25, 0.25, 0.25]);
  expect(numbers(feeds["encoder_hidden_states"])).toEqual([
    1, 2, 3, 4, 0, 0, 0, 0, 9, 10, 11, 12, 13, 14, 15, 16,
  ]);
  expect(Object.keys(feeds)).not.toContain("null_mask");
});

test("diffusionBatch without text: zeros and a mask of 0, or the null embedding in row 0", () => {
  const all = { ...objective, dropout: 1 };
  const diffusers = diffusionBatch(samples, all, keyOf(1));
  expect(diffusers.dropped).toEqual([true, true]);
  expect(new Set(numbers(diffusers.feeds["encoder_hidden_states"]))).toEqual(new Set([0]));
  expect(numbers(diffusers.feeds["mask_bias"]).slice(4)).toEqual([-10000, -10000, -10000, -10000]);
  const native = diffusionBatch(samples, { ...all, profile: "native" }, keyOf(1)).feeds;
  expect(numbers(native["null_mask"])).toEqual([1, 0, 0, 0, 1, 0, 0, 0]);
  expect(numbers(native["context_mask"])).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  expect(numbers(native["mask_bias"]).map((x) => x === 0)).toEqual([
    true,
    false,
    false,
    false,
    true,
    false,
    false,
    false,
  ]);
});

test("diffusionBatch drops about the share asked for, and joins further channels", () => {
  const count = 1000;
  const many = {
    latents: float32([count, 1, 1, 1], new Float32Array(count)),
    hidden: float32([count, 1, 1], new Float32Array(count)),
    tokens: new Array<number>(count).fill(1),
    extra: float32([count, 2, 1, 1], new Float32Array(2 * count).fill(7)),
  };
  const { dropped, feeds } = diffusionBatch(many, { ...objective, dropout: 0.1 }, keyOf(5));
  const share = dropped.filter(Boolean).length / count;
  expect(share).toBeGreaterThan(0.07);
  expect(share).toBeLessThan(0.13);
  expect(feeds["sample"]!.shape).toEqual([count, 3, 1, 1]);
  expect(numbers(feeds["sample"]).slice(1, 3)).toEqual([7, 7]);
});

test("lossWeight of min-SNR is as published, and starves noisy steps of the velocity", () => {
  const at = (prediction: Objective["prediction"], time: number) =>
    lossWeight({ ...objective, prediction, weighting: { minSnr: 5 } }, time);
  // Figures of the reference notes for min(snr, 5) / (snr + 1).
  const seen = [229, 479, 729, 979].map((time) => at("v_prediction", time));
  [0.66, 0.53, 0.17, 0.001].forEach((wanted, i) => {
    expect(Math.abs(seen[i]! - wanted), `${seen[i]}`).toBeLessThan(0.006);
  });
  expect(at("epsilon", 900)).toBe(1);
  expect(at("sample", 0)).toBe(5);
  expect(lossWeight(objective, 900)).toBe(1);
});
