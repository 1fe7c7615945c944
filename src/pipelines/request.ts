import { z } from "zod";
import {
  NOISE_SOURCES,
  type NoiseSourceName,
  PROFILES,
  type ProfileName,
  SAMPLERS,
  type SamplerName,
  SPACINGS,
} from "../diffusion/mod.ts";

/** The descriptions of a job that every surface shares, one schema for each operation. */

const whole = z.number().int();
const text = z.union([z.string(), z.array(z.string()).min(1)]);
const named = <T extends object>(table: T) => z.enum(Object.keys(table) as [keyof T & string]);

/** A picture that a request works on: a file's name, and the hash of its bytes where that must not change. */
export const pictureSource = z
  .union([
    z.string().min(1),
    z.strictObject({
      file: z.string().min(1),
      /** SHA-256 of the file's bytes, in hexadecimal digits. */
      sha256: z.string().optional(),
    }),
  ])
  .transform((source) => (typeof source === "string" ? { file: source } : source));

/** As a caller writes it. */
export type PictureSource = z.input<typeof pictureSource>;

/** How a picture is sampled, whatever the operation. */
export const SAMPLING = {
  steps: whole.min(1).max(1000).optional(),
  /** w in (1 + w) * conditional - w * unconditional: "CFG scale" minus 1. */
  guidance: z.number().min(0).max(100).optional(),
  /** 0 to 1. */
  guidanceRescale: z.number().min(0).max(1).default(0),
  /** Timesteps (0 to 999) between which guidance acts. */
  guidanceInterval: z.tuple([z.number(), z.number()]).optional(),
  sampler: named<Record<SamplerName, unknown>>(SAMPLERS).optional(),
  spacing: z.enum(SPACINGS).default("uniform"),
  profile: named<Record<ProfileName, unknown>>(PROFILES).optional(),
  /** Dynamic threshold at this quantile of |x0| instead of the profile's limit. */
  threshold: z.number().gt(0).max(1).optional(),
  /** Hard clip of x0 at this value instead of the profile's limit. */
  clip: z.number().positive().optional(),
  /** Where noise comes from: keyed and equal on every machine, or the stream of PyTorch's CPU generator. */
  rng: named<Record<NoiseSourceName, unknown>>(NOISE_SOURCES).default("keyed"),
  /** `each`: every prompt keeps its own text length; `joint`: cut and pooled at the longest, as diffusers does. */
  batchText: z.enum(["each", "joint"]).default("each"),
};

/** What is drawn, and how often. */
export const SUBJECT = {
  /** One prompt, or several. */
  prompt: text,
  /** What to keep away from: one for all prompts, or one each. */
  negative: text.optional(),
  /** Pictures per prompt. */
  count: whole.min(1).max(10_000).default(1),
  /** A second prompt that acts together with the first: `weight` 0 is the first alone, 1 the second alone. */
  mix: z.strictObject({ prompt: z.string(), weight: z.number().min(0).max(1) }).optional(),
  /** Picture k of the request (all pictures of the first prompt, then of the second) gets `seed` + k. */
  seed: z.union([whole.min(0), z.array(whole.min(0)).min(1)]).optional(),
};

/** Size of the result in pixels. */
const SIZE = { width: whole.positive().optional(), height: whole.positive().optional() };

const strength = z.number().gt(0).max(1);

/** Whether a strength counts on the model's own noise schedule or on that of Kandinsky 2.2, which was linear. */
const strengthAs = z.enum(["schedule", "linear"]).default("schedule");

/** A request to draw pictures from text; what is left out gets the model's or profile's default. */
export const generateRequest = z.strictObject({
  operation: z.literal("generate").default("generate"),
  ...SUBJECT,
  /** Multiples of the model's unit (64 for the released models). */
  ...SIZE,
  ...SAMPLING,
});

/** As a caller writes it. */
export type GenerateRequest = z.input<typeof generateRequest>;

/** A request to draw a picture anew from a noisy version of itself (image-to-image). */
export const editRequest = z.strictObject({
  operation: z.literal("edit"),
  image: pictureSource,
  ...SUBJECT,
  /** Of the result; by default that of the picture, made smaller where it is larger than the model draws. */
  ...SIZE,
  /** 0 to 1: how much is drawn anew; 0.5 is where signal and noise are equal. */
  strength: strength.default(0.5),
  strengthAs,
  ...SAMPLING,
});

/** As a caller writes it. */
export type EditRequest = z.input<typeof editRequest>;

/** Every operation that draws pictures, by name. */
export const REQUESTS = { generate: generateRequest, edit: editRequest } as const;

/** The name of an operation. */
export type Operation = keyof typeof REQUESTS;

/** Any request that draws pictures; without an `operation` it is `generate`. */
export type PictureRequest = z.input<(typeof REQUESTS)[Operation]>;

/** A request as its schema reads it: what has a fixed default is filled in. */
export type ParsedRequest<O extends Operation = Operation> = z.output<(typeof REQUESTS)[O]>;
