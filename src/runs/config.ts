import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";

const positive = z.number().positive();
const count = z.int().positive();
const share = z.number().min(0).max(1);

const STAGE = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/),
  /** Pixels; every batch has one of these sizes. */
  sizes: z.array(z.strictObject({ width: count, height: count })).min(1),
  /** Samples of one update. */
  batch: count,
  /** Parts that a batch is worked in, one after the other, where it does not fit into memory. */
  parts: count.default(1),
  /** Samples of the whole stage. */
  samples: count,
  learningRate: positive,
  /** Samples over which the rate rises from 0. */
  warmUp: z.int().min(0).default(0),
  /** Part of the rate that is left at the end; it falls along a cosine. */
  finalShare: share.default(0.1),
});

const SCENES = z.strictObject({
  kind: z.literal("scenes"),
  /** Files of icons and masters. */
  folder: z.string().optional(),
  /** Codes of the subjects; all of the list unless given. */
  subjects: z.array(z.string()).min(1).optional(),
});

const FILES = z.strictObject({
  kind: z.literal("files"),
  /** WebDataset shards and folders of pictures. */
  paths: z.array(z.string()).min(1),
  captions: z.enum(["skip", "empty", "error"]).default("skip"),
  flip: z.boolean().default(false),
  enlarge: z.boolean().default(true),
});

const SHEETS = z.strictObject({
  /** Samples between two sheets. */
  every: count,
  prompts: z.array(z.string()).min(1),
  steps: count.default(25),
  guidance: z.number().min(0).default(3),
  seed: z.int().min(0).default(0),
});

const RUN = z.strictObject({
  kind: z.literal("diffusion"),
  /** Model folder: frozen text encoder and autoencoder, schedule, configuration of the U-Net. */
  model: z.string().min(1),
  /** Where the U-Net begins: anew, or with the weights of `model`. */
  start: z.enum(["fresh", "model"]),
  seed: z.int().min(0).default(0),
  data: z.discriminatedUnion("kind", [SCENES, FILES]),
  /** Tokens that every caption is cut or padded to. */
  tokens: z.int().min(2).max(128).default(32),
  stages: z.array(STAGE).min(1),
  /** Part of the captions that are left out, so that guidance has something to guide away from. */
  dropout: share.default(0.1),
  /** Limit of min-SNR weights; all timesteps count the same without. */
  minSnr: positive.optional(),
  optimizer: z
    .strictObject({
      betas: z.tuple([share, share]).default([0.9, 0.99]),
      epsilon: positive.default(1e-8),
      weightDecay: z.number().min(0).default(0.01),
      clip: positive.default(1),
    })
    .prefault({}),
  /** Half-lives of the averages of the weights, in samples; the first is what is drawn with and exported. */
  halfLives: z.array(positive).min(1),
  checkpoints: z.strictObject({
    /** Samples between two checkpoints. */
    every: count,
    /** How many of the last are kept, besides the best. */
    keep: count.default(2),
  }),
  sheets: SHEETS.optional(),
});

/** A training run as it is written down: what has a default may be left out. */
export type RunInput = z.input<typeof RUN>;

/** A training run with every default filled in. */
export type RunConfig = z.output<typeof RUN>;

/** One part of a run with its own sizes, batch and learning rate. */
export type Stage = RunConfig["stages"][number];

/** Gives a config its type in the file that holds it. */
export function defineRun(input: RunInput): RunInput {
  return input;
}

/**
 * Checks a config and fills in defaults. Throws `option_invalid` with the place of the first mistake, `where` being
 * the file it came from.
 */
export function parseRun(input: unknown, where: string): RunConfig {
  const result = RUN.safeParse(input);
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    throw new KandinskyError("option_invalid", {
      what: "the training config has a mistake",
      where: `${where}, ${path.join(".") || "the whole"}`,
      seen: message,
    });
  }
  for (const [i, { name, batch, parts }] of result.data.stages.entries()) {
    if (batch % parts === 0) continue;
    throw new KandinskyError("option_invalid", {
      what: "the training config has a mistake",
      where: `${where}, stages.${i}.parts (${name})`,
      seen: `a batch of ${batch} in ${parts} parts`,
      wanted: "equal parts",
    });
  }
  return result.data;
}

/** What a checkpoint must agree on with the run that goes on from it; how often to save or draw may change. */
export function essentials(config: RunConfig): Readonly<Record<string, unknown>> {
  const { checkpoints: _, sheets: __, ...rest } = config;
  return rest;
}

/** The place of the first difference between two values, as a path; undefined where they are equal. */
export function firstDifference(a: unknown, b: unknown, path = ""): string | undefined {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return Object.is(a, b) ? undefined : path;
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) {
    const [left, right] = [a, b].map((one) => (one as Record<string, unknown>)[key]);
    const found = firstDifference(left, right, path === "" ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
