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
import { maskSource, type REQUESTS } from "./request.ts";

const index = z.number().int().min(0);
const named = <T extends object>(table: T) => z.enum(Object.keys(table) as [keyof T & string]);
const size = z.object({ width: index, height: index });

/** One picture to make. */
const pictureJob = z.object({
  index,
  prompt: z.string(),
  negative: z.string().optional(),
  seed: index,
});
/** One picture to make. */
export type PictureJob = Readonly<z.output<typeof pictureJob>>;

/** What every operation settles. */
const BASE = {
  pictures: z.array(pictureJob),
  /** Of the result, in pixels. */
  width: index,
  height: index,
  /** What is drawn, in pixels: multiples of the model's unit. */
  canvas: size,
  steps: index,
  guidance: z.number(),
  guidanceRescale: z.number(),
  guidanceInterval: z.tuple([z.number(), z.number()]).optional(),
  sampler: named<Record<SamplerName, unknown>>(SAMPLERS),
  spacing: z.enum(SPACINGS),
  profile: named<Record<ProfileName, unknown>>(PROFILES),
  threshold: z.number().optional(),
  clip: z.number().optional(),
  rng: named<Record<NoiseSourceName, unknown>>(NOISE_SOURCES),
  batchText: z.enum(["each", "joint"]),
  mix: z.object({ prompt: z.string(), weight: z.number() }).optional(),
};

/** A file whose bytes are known. */
const knownFile = z.object({ file: z.string(), sha256: z.string() });
/** A file whose bytes are known. */
export type KnownFile = Readonly<z.output<typeof knownFile>>;

/** Windows of pixels that cover the canvas where it is larger than they are. */
const windows = size.extend({ overlap: z.number(), wrap: z.boolean(), join: z.enum(["average", "noise"]) });
/** How windows cover a canvas that is larger than they are. */
export type JobWindows = Readonly<z.output<typeof windows>>;

const JOBS = {
  generate: z.object({ operation: z.literal("generate"), ...BASE }),
  edit: z.object({
    operation: z.literal("edit"),
    ...BASE,
    image: knownFile,
    /** On the model's own schedule. */
    strength: z.number(),
  }),
  inpaint: z.object({
    operation: z.literal("inpaint"),
    ...BASE,
    image: knownFile,
    mask: maskSource,
    invert: z.boolean(),
    grow: index,
    feather: index,
    matchColors: z.boolean(),
    region: z.enum(["whole", "mask"]),
    padding: index,
    /** The part of the picture that is drawn on the canvas. */
    area: size.extend({ left: index, top: index }),
    strength: z.number(),
  }),
  extend: z.object({
    operation: z.literal("extend"),
    ...BASE,
    image: knownFile,
    /** Pixels added to each side. */
    left: index,
    right: index,
    top: index,
    bottom: index,
    /** Where the result lies in the canvas. */
    offset: z.object({ left: index, top: index }),
    matchColors: z.boolean(),
    windows,
    /** Prompts from left to right. */
    sections: z.array(z.string()),
  }),
  panorama: z.object({
    operation: z.literal("panorama"),
    ...BASE,
    windows,
    /** Prompts from left to right. */
    sections: z.array(z.string()),
  }),
  upscale: z.object({
    operation: z.literal("upscale"),
    ...BASE,
    image: knownFile,
    by: index,
    strength: z.number(),
    windows,
  }),
} as const satisfies Record<keyof typeof REQUESTS, z.ZodObject>;

/** A request with every default filled in: drawing it needs no further choice. */
export type JobOf<O extends keyof typeof JOBS> = Readonly<z.output<(typeof JOBS)[O]>>;

/** A request of any operation with every default filled in. */
export type Job = { [O in keyof typeof JOBS]: JobOf<O> }[keyof typeof JOBS];

/** What every operation settles. */
export type BaseJob = Omit<JobOf<"generate">, "operation">;

/** Reads a job from JSON; those that were written before there were other operations are `generate`. */
export const jobSchema = z.preprocess(
  (json) => {
    if (typeof json !== "object" || json === null || "operation" in json) return json;
    const { width, height } = json as { width?: unknown; height?: unknown };
    return { ...json, operation: "generate", canvas: { width, height } };
  },
  z.discriminatedUnion("operation", [
    JOBS.generate,
    JOBS.edit,
    JOBS.inpaint,
    JOBS.extend,
    JOBS.panorama,
    JOBS.upscale,
  ]),
);
