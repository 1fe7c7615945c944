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

const pixels = whole.min(0).max(4096);
const point = z.tuple([z.number(), z.number()]);

/** Where a picture is to be repainted; places are pixels of the upright picture. */
export const maskSource = z.discriminatedUnion("from", [
  /** A picture whose white parts are repainted. */
  z.strictObject({ from: z.literal("file"), file: z.string().min(1), sha256: z.string().optional() }),
  /** The picture's own transparent parts. */
  z.strictObject({ from: z.literal("alpha") }),
  z.strictObject({
    from: z.literal("box"),
    left: z.number(),
    top: z.number(),
    width: z.number().positive(),
    height: z.number().positive(),
  }),
  z.strictObject({ from: z.literal("polygon"), points: z.array(point).min(3) }),
  /** A round brush drawn through points; one point is a dot. */
  z.strictObject({
    from: z.literal("strokes"),
    strokes: z.array(z.strictObject({ points: z.array(point).min(1), width: z.number().positive() })).min(1),
  }),
  /** Pixels whose colour differs from `color` by at most `tolerance` in red, green and blue. */
  z.strictObject({
    from: z.literal("color"),
    color: z.string().regex(/^#[0-9a-f]{6}$/i, { error: "a colour such as #00ff00" }),
    tolerance: whole.min(0).max(255).default(32),
  }),
]);

/** As a caller writes it. */
export type MaskSource = z.input<typeof maskSource>;

/** A request to draw a part of a picture anew. */
export const inpaintRequest = z.strictObject({
  operation: z.literal("inpaint"),
  image: pictureSource,
  ...SUBJECT,
  prompt: text.default(""),
  mask: maskSource.default({ from: "alpha" }),
  /** Repaints what the mask keeps. */
  invert: z.boolean().default(false),
  /** Pixels by which the hole grows to all sides. */
  grow: pixels.default(0),
  /** Pixels around the hole in which the result passes over into the picture. */
  feather: pixels.default(4),
  /** Shifts the result's colours so that they meet the picture's around the hole. */
  matchColors: z.boolean().default(true),
  /** What is drawn: the whole picture, or only the surroundings of the hole; `auto` by the picture's size. */
  region: z.enum(["auto", "whole", "mask"]).default("auto"),
  /** Pixels of surroundings around the hole, for the region `mask`. */
  padding: pixels.default(32),
  /** Refuses a mask of another size than the picture's, instead of resizing it. */
  strict: z.boolean().default(false),
  /** Below 1 the hole keeps something of what was there. */
  strength: strength.default(1),
  strengthAs,
  ...SAMPLING,
});

/** As a caller writes it. */
export type InpaintRequest = z.input<typeof inpaintRequest>;

/** Pixels, or a share of the picture's side such as "25%". */
const extent = z.union([
  whole.min(0).max(65_536),
  z.string().regex(/^\d+(\.\d+)?%$/, { error: "pixels, or a share such as 25%" }),
]);

/** How windows of the model's size cover a canvas that is larger. */
const WINDOWS = {
  /** Share of a window that its neighbour covers too. */
  overlap: z.number().min(0.125).max(0.875).default(0.5),
  /**
   * How windows agree: `average` takes the mean of their predictions in every step; `noise` draws each by itself from
   * shared noise and takes the mean of the results. Where nothing else speaks for one, it is the one with the weaker
   * seams: see this room's README.
   */
  join: z.enum(["average", "noise"]).default("noise"),
};

/** A request to go on with a picture past its frame (outpainting). */
export const extendRequest = z.strictObject({
  operation: z.literal("extend"),
  image: pictureSource,
  ...SUBJECT,
  /** Several prompts are the parts of the new picture from left to right. */
  prompt: text.default(""),
  left: extent.default(0),
  right: extent.default(0),
  top: extent.default(0),
  bottom: extent.default(0),
  /** Width over height of the result; what the sides do not say is added to both sides alike. */
  ratio: z.number().positive().optional(),
  matchColors: z.boolean().default(true),
  ...WINDOWS,
  // A window far from the picture hears of it only through its neighbours.
  join: WINDOWS.join.unwrap().default("average"),
  ...SAMPLING,
});

/** As a caller writes it. */
export type ExtendRequest = z.input<typeof extendRequest>;

/** A request for one picture that is larger than the model draws, by overlapping windows. */
export const panoramaRequest = z.strictObject({
  operation: z.literal("panorama"),
  ...SUBJECT,
  /** Several prompts are the parts of the picture from left to right. */
  prompt: text,
  ...SIZE,
  /** Lets the right end go on at the left, for views of 360 degrees. */
  wrap: z.boolean().default(false),
  ...WINDOWS,
  ...SAMPLING,
});

/** As a caller writes it. */
export type PanoramaRequest = z.input<typeof panoramaRequest>;

/** A request to enlarge a picture and draw finer detail into it, by overlapping windows. */
export const upscaleRequest = z.strictObject({
  operation: z.literal("upscale"),
  image: pictureSource,
  ...SUBJECT,
  prompt: text.default(""),
  by: z.literal([2, 4]),
  strength: strength.default(0.3),
  strengthAs,
  ...WINDOWS,
  ...SAMPLING,
});

/** As a caller writes it. */
export type UpscaleRequest = z.input<typeof upscaleRequest>;

/** Every operation that draws pictures, by name. */
export const REQUESTS = {
  generate: generateRequest,
  edit: editRequest,
  inpaint: inpaintRequest,
  extend: extendRequest,
  panorama: panoramaRequest,
  upscale: upscaleRequest,
} as const;

/** The name of an operation. */
export type Operation = keyof typeof REQUESTS;

/** Any request that draws pictures; without an `operation` it is `generate`. */
export type PictureRequest = z.input<(typeof REQUESTS)[Operation]>;

/** A request as its schema reads it: what has a fixed default is filled in. */
export type ParsedRequest<O extends Operation = Operation> = z.output<(typeof REQUESTS)[O]>;
