import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";

const CLASSES = [
  "DDPMScheduler",
  "DDIMScheduler",
  "EulerDiscreteScheduler",
  "EulerAncestralDiscreteScheduler",
  "DPMSolverMultistepScheduler",
] as const;
const positive = z.number().positive();
const fraction = z.number().gt(0).lt(1);

/** The scheduler file of the diffusers layout; defaults are those of diffusers' DDPMScheduler. */
const FILE = z
  .object({
    _class_name: z.enum(CLASSES).default("DDPMScheduler"),
    num_train_timesteps: z.int().min(2).default(1000),
    beta_schedule: z.enum(["linear", "scaled_linear", "squaredcos_cap_v2"]).default("linear"),
    beta_start: fraction.default(0.0001),
    beta_end: fraction.default(0.02),
    trained_betas: z.array(fraction).nullable().default(null),
    prediction_type: z.enum(["epsilon", "v_prediction", "sample"]).default("epsilon"),
    variance_type: z.literal("fixed_small").default("fixed_small"),
    clip_sample: z.boolean().default(true),
    clip_sample_range: positive.default(1),
    thresholding: z.boolean().default(false),
    dynamic_thresholding_ratio: z.number().gt(0).max(1).default(0.995),
    sample_max_value: z.number().min(1).default(1),
    timestep_spacing: z.enum(["leading", "trailing", "linspace"]).default("leading"),
    steps_offset: z.int().min(0).default(0),
    set_alpha_to_one: z.boolean().default(true),
    rescale_betas_zero_snr: z.literal(false).default(false),
  })
  .transform((file) => ({
    trainTimesteps: file.num_train_timesteps,
    betaSchedule: file.beta_schedule,
    betaStart: file.beta_start,
    betaEnd: file.beta_end,
    trainedBetas: file.trained_betas,
    prediction: file.prediction_type,
    clip: file.clip_sample,
    clipRange: file.clip_sample_range,
    dynamicThreshold: file.thresholding,
    dynamicThresholdQuantile: file.dynamic_thresholding_ratio,
    dynamicThresholdMax: file.sample_max_value,
    timestepSpacing: file.timestep_spacing,
    stepsOffset: file.steps_offset,
    ddimEndsClean: file.set_alpha_to_one,
  }));

/** What a model's scheduler file says about its noise schedule, prediction, limits and timestep grid. */
export type SchedulerConfig = Readonly<z.infer<typeof FILE>>;
export type TimestepSpacing = SchedulerConfig["timestepSpacing"];
export type PredictionType = SchedulerConfig["prediction"];

/**
 * Reads the parsed JSON of a `scheduler_config.json`; keys of other schedulers are left alone. Throws `model_config`
 * with every value that this engine does not know, by key, seen and wanted; `where` is the file's name.
 */
export function parseSchedulerConfig(json: unknown, where: string): SchedulerConfig {
  const result = FILE.safeParse(json);
  if (!result.success) {
    throw refusal(
      where,
      result.error.issues.map((issue) => {
        const seen = issue.path.reduce<unknown>(
          (value, key) => (value as Record<PropertyKey, unknown>)[key],
          json,
        );
        const key = issue.path.map(String).join(".");
        return { key, seen: JSON.stringify(seen) ?? "nothing", wanted: wantedBy(issue) };
      }),
    );
  }
  const { trainedBetas, trainTimesteps } = result.data;
  if (trainedBetas !== null && trainedBetas.length !== trainTimesteps) {
    const wanted = `${trainTimesteps} values, as num_train_timesteps says`;
    throw refusal(where, [{ key: "trained_betas", seen: `${trainedBetas.length} values`, wanted }]);
  }
  return result.data;
}

interface Fault {
  readonly key: string;
  readonly seen: string;
  readonly wanted: string;
}

function refusal(where: string, faults: readonly Fault[]): KandinskyError {
  const named = (part: "seen" | "wanted") =>
    faults.map((fault) => (fault.key === "" ? fault[part] : `${fault.key} ${fault[part]}`)).join(", ");
  return new KandinskyError("model_config", {
    what: "cannot use the scheduler settings",
    where,
    seen: named("seen"),
    wanted: named("wanted"),
    hint: "these settings belong to a sampler that this engine does not have",
  });
}

function wantedBy(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value") return issue.values.map((value) => JSON.stringify(value)).join(" or ");
  return issue.message.replace(/^[^:]*: expected /, "");
}
