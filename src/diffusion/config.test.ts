import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { parseSchedulerConfig } from "./config.ts";
import { scheduleOf } from "./schedule.ts";
import { ALPHAS, mismatch, openGolden, readGolden } from "./test-support.ts";

const where = "scheduler/scheduler_config.json";

test("parseSchedulerConfig reads the file of the golden checkpoint", () => {
  expect(parseSchedulerConfig(readGolden("tiny-k3/scheduler/scheduler_config.json"), where)).toEqual({
    trainTimesteps: 1000,
    betaSchedule: "squaredcos_cap_v2",
    betaStart: 0.00085,
    betaEnd: 0.012,
    trainedBetas: null,
    prediction: "epsilon",
    clip: true,
    clipRange: 1,
    dynamicThreshold: false,
    dynamicThresholdQuantile: 0.995,
    dynamicThresholdMax: 1,
    timestepSpacing: "leading",
    stepsOffset: 1,
    ddimEndsClean: false,
  });
});

test("parseSchedulerConfig has the defaults of diffusers' DDPMScheduler and lets other keys be", () => {
  const config = parseSchedulerConfig({ some_new_key: 3 }, where);
  expect(config).toMatchObject({ betaSchedule: "linear", betaStart: 0.0001, betaEnd: 0.02, stepsOffset: 0 });
  expect(config).toMatchObject({ prediction: "epsilon", clip: true, ddimEndsClean: true });
});

const REFUSED: readonly [json: unknown, message: string][] = [
  [
    { prediction_type: "flow" },
    'seen prediction_type "flow", wanted prediction_type "epsilon" or "v_prediction" or "sample"',
  ],
  [
    { beta_schedule: "sigmoid" },
    'seen beta_schedule "sigmoid", wanted beta_schedule "linear" or "scaled_linear" or "squaredcos_cap_v2"',
  ],
  [{ variance_type: "learned" }, 'seen variance_type "learned", wanted variance_type "fixed_small"'],
  [{ rescale_betas_zero_snr: true }, "seen rescale_betas_zero_snr true, wanted rescale_betas_zero_snr false"],
  [{ _class_name: "FlowMatchEulerDiscreteScheduler" }, 'seen _class_name "FlowMatchEulerDiscreteScheduler"'],
  [{ trained_betas: [0.1, 0.2] }, "seen trained_betas 2 values, wanted trained_betas 1000 values"],
  [{ trained_betas: [0.1, 2] }, "seen trained_betas.1 2, wanted trained_betas.1"],
  [{ num_train_timesteps: "many" }, 'seen num_train_timesteps "many", wanted num_train_timesteps number'],
  [{ clip_sample: null }, "seen clip_sample null, wanted clip_sample boolean"],
  [[], "seen [], wanted object"],
];

for (const [json, message] of REFUSED) {
  test(`parseSchedulerConfig refuses ${JSON.stringify(json)}`, () => {
    let error: unknown;
    try {
      parseSchedulerConfig(json, where);
    } catch (caught) {
      error = caught;
    }
    if (!(error instanceof KandinskyError)) throw new Error("not refused");
    expect(error.code).toBe("model_config");
    expect(error.message).toContain(`cannot use the scheduler settings: ${where}: ${message}`);
  });
}

test("scheduleOf equals diffusers' products for every beta schedule", async () => {
  const golden = await openGolden("samplers.safetensors");
  const files = {
    linear: { beta_schedule: "linear" },
    scaled_linear: { beta_schedule: "scaled_linear", beta_start: 0.00085, beta_end: 0.012 },
    squaredcos_cap_v2: { beta_schedule: "squaredcos_cap_v2" },
  };
  for (const [name, file] of Object.entries(files)) {
    const seen = scheduleOf(parseSchedulerConfig(file, where)).alphasCumprod;
    expect(mismatch(seen, golden(`alphas_cumprod/${name}`).data, ALPHAS), name).toBeUndefined();
  }
});

test("scheduleOf takes trained betas before any formula", () => {
  const config = parseSchedulerConfig({ num_train_timesteps: 2, trained_betas: [0.5, 0.25] }, where);
  expect(Array.from(scheduleOf(config).alphasCumprod)).toEqual([0.5, 0.375]);
});
