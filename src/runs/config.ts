import { z } from "zod";
import { ATTENTION_LAYERS } from "../adapters/mod.ts";
import { KandinskyError } from "../base/mod.ts";
import { LANGUAGES, NANO_SCENES, type SceneKind, STYLES, type StyleName } from "../scenes/mod.ts";

const STYLE_NAMES = Object.keys(STYLES) as [StyleName, ...StyleName[]];
const SCENE_KINDS = Object.keys(NANO_SCENES.kinds) as [SceneKind, ...SceneKind[]];
const positive = z.number().positive();
const count = z.int().positive();
const share = z.number().min(0).max(1);

const STAGE = {
  name: z.string().regex(/^[\w.-]+$/),
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
};

const SIZE = z.strictObject({ width: count, height: count });

const PICTURE_STAGE = z.strictObject({
  ...STAGE,
  /** Pixels; every batch has one of these sizes. */
  sizes: z.array(SIZE).min(1),
});

const TEXT_STAGE = z.strictObject({
  ...STAGE,
  /** Blocks of the encoder that run; without any it is a bag of pieces, which learns the words fast. */
  blocks: z.int().min(0),
  /**
   * What the table of embeddings is multiplied by when the stage begins. Norms take it out again; but the larger the table,
   * the less an update of the blocks moves what they add to it. At 1, blocks added to a trained table drown it.
   */
  table: positive.default(1),
});

const SCENES = z.strictObject({
  kind: z.literal("scenes"),
  /** Files of icons and masters. */
  folder: z.string().optional(),
  /** Codes of the subjects; all of the list unless given. */
  subjects: z.array(z.string()).min(1).optional(),
  /** How often each kind of scene is drawn. */
  kinds: z
    .record(z.enum(SCENE_KINDS), z.number().min(0))
    .refine(hasWeight, { error: "at least one kind" })
    .default(NANO_SCENES.kinds),
  /** How often each style is drawn. */
  styles: z
    .partialRecord(z.enum(STYLE_NAMES), z.number().min(0))
    .refine(hasWeight, { error: "at least one style" })
    .default(NANO_SCENES.styles),
  /** How single subjects lie: least and most of their side, and how far from the middle, in units of the picture. */
  alone: z
    .strictObject({ side: z.tuple([share, share]), shift: share })
    .default({ ...NANO_SCENES.alone, side: [...NANO_SCENES.alone.side] }),
  /** Different scenes, seen again and again with other captions; what was seen is not encoded again. */
  pool: count.optional(),
});

const FILES = z.strictObject({
  kind: z.literal("files"),
  /** WebDataset shards and folders of pictures. */
  paths: z.array(z.string()).min(1),
  captions: z.enum(["skip", "empty", "error"]).default("skip"),
  /** Part of the pictures that is kept from training, to measure on; at least one of them unless 0. */
  apart: z.number().min(0).max(0.5).default(0),
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

const DATA = z.discriminatedUnion("kind", [SCENES, FILES]);

/** What every kind of run has. */
const COMMON = {
  seed: z.int().min(0).default(0),
  optimizer: z
    .strictObject({
      betas: z.tuple([share, share]).default([0.9, 0.99]),
      epsilon: positive.default(1e-8),
      weightDecay: z.number().min(0).default(0.01),
      clip: positive.default(1),
    })
    .prefault({}),
  /** Half-lives of the averages of the weights, in samples; the first is what is measured, drawn with and exported. */
  halfLives: z.array(positive).min(1),
  checkpoints: z.strictObject({
    /** Samples between two checkpoints. */
    every: count,
    /** How many of the last are kept, besides the best. */
    keep: count.default(2),
  }),
};

/** Tokens that every caption is cut or padded to. */
const tokens = z.int().min(2).max(128).default(32);

const DIFFUSION = z.strictObject({
  kind: z.literal("diffusion"),
  ...COMMON,
  /** Model folder: frozen text encoder and autoencoder, schedule, configuration of the U-Net. */
  model: z.string().min(1),
  /** Where the U-Net begins: anew, or with the weights of `model`. */
  start: z.enum(["fresh", "model"]),
  data: DATA,
  tokens,
  stages: z.array(PICTURE_STAGE).min(1),
  /** Part of the captions that are left out, so that guidance has something to guide away from. */
  dropout: share.default(0.1),
  /**
   * Fills holes: beside the noisy latent the U-Net is told what is kept and the latent of the picture without the hole.
   * One of 4 input channels gets 5 more, whose weights begin with 0. `everything` is the part of the samples that are
   * all hole, besides those of the mixture of masks (one in twenty).
   */
  inpainting: z.strictObject({ everything: share.default(0) }).optional(),
  /** Limit of min-SNR weights; all timesteps count the same without. */
  minSnr: positive.optional(),
  sheets: SHEETS.optional(),
});

const LORA = z.strictObject({
  kind: z.literal("lora"),
  ...COMMON,
  /** Model folder, no part of which is changed. */
  model: z.string().min(1),
  /** Columns of the small matrices: how much a layer can learn. */
  rank: count.default(16),
  /** The change of a weight is alpha / rank times their product; the rank unless given. */
  alpha: positive.optional(),
  /** Ends of layer names from a dot on, `*` for any characters; every attention's queries, keys, values and results. */
  targets: z
    .array(z.string().min(1))
    .min(1)
    .default([...ATTENTION_LAYERS]),
  data: DATA,
  tokens,
  stages: z.array(PICTURE_STAGE).min(1),
  /** Part of the captions that are left out, so that guidance still has something to guide away from. */
  dropout: share.default(0.1),
  /** Limit of min-SNR weights; all timesteps count the same without. */
  minSnr: positive.optional(),
  sheets: SHEETS.optional(),
  /**
   * Keeps what the model knew: every update learns from as many pictures again that it drew itself before the first
   * update, and their loss is added.
   */
  prior: z
    .strictObject({
      /** What is drawn, in turn: the class of the new subject, or all that shall stay. */
      prompts: z.array(z.string().min(1)).min(1),
      /** How many pictures, of each size of the stages. */
      samples: count,
      /** What their loss is multiplied by. */
      weight: positive.default(1),
      steps: count.default(25),
      guidance: z.number().min(0).default(3),
      /** Of the first; picture k has `seed` + k. */
      seed: z.int().min(0).default(0),
    })
    .optional(),
});

const TEXT_ENCODER = z.strictObject({
  kind: z.literal("text-encoder"),
  ...COMMON,
  /** Model folder: tokenizer, configuration of the text encoder, and the parts that stay as they are. */
  model: z.string().min(1),
  /** Codes of the subjects; all of the list unless given. */
  subjects: z.array(z.string()).min(1).optional(),
  /** How often each language is drawn; as nano's pictures are captioned unless given. */
  languages: z.partialRecord(z.enum(LANGUAGES), z.number().min(0)).optional(),
  tokens,
  stages: z.array(TEXT_STAGE).min(1),
  /** Pulls the captions of one scene together: weight beside the heads, and what similarities are divided by. */
  contrast: z
    .strictObject({ weight: z.number().min(0).default(0.5), temperature: positive.default(0.1) })
    .prefault({}),
});

const AUTOENCODER = z.strictObject({
  kind: z.literal("autoencoder"),
  ...COMMON,
  /** Model folder: configuration of the autoencoder, and the parts that stay as they are. */
  model: z.string().min(1),
  data: DATA,
  /** Pixels along the side of the squares that are cut out of the pictures. */
  crop: count.default(32),
  stages: z.array(PICTURE_STAGE).min(1),
});

const CLASSIFIER = z.strictObject({
  kind: z.literal("classifier"),
  ...COMMON,
  /** Every scene shows one subject, of many sizes and places. */
  data: SCENES.omit({ kinds: true, alone: true, pool: true }),
  /** Side of the pictures that it sees, channels of its levels, length of its features. */
  network: z.strictObject({ side: count, widths: z.array(count).min(1), features: count }),
  stages: z.array(PICTURE_STAGE).min(1),
});

const RUN = z.discriminatedUnion("kind", [DIFFUSION, LORA, TEXT_ENCODER, AUTOENCODER, CLASSIFIER]);

/** A training run as it is written down: what has a default may be left out. */
export type RunInput = z.input<typeof RUN>;

/** A training run with every default filled in. */
export type RunConfig = z.output<typeof RUN>;

/** What can be trained. */
export type RunKind = RunConfig["kind"];

/** The config of one kind of run. */
export type RunOf<K extends RunKind> = Extract<RunConfig, { kind: K }>;

/** One part of a run with its own batch and learning rate, and sizes where it learns from pictures. */
export type Stage = RunConfig["stages"][number];

/** Sides of pictures in pixels. */
export type Size = z.output<typeof SIZE>;

/** The sizes of a stage in pixels, as people write them; undefined where it has no pictures. */
export function sizesOf(stage: Stage): string | undefined {
  if (!("sizes" in stage)) return undefined;
  return stage.sizes.map(({ width, height }) => `${width}x${height}`).join(", ");
}

function hasWeight(weights: Readonly<Record<string, number>>): boolean {
  return Object.values(weights).some((weight) => weight > 0);
}

/** Gives a config its type in the file that holds it. */
export function defineRun<I extends RunInput>(input: I): I {
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
  const { kind, stages } = result.data;
  for (const [i, { name, batch, parts }] of stages.entries()) {
    const equal = parts * ROWS_TOGETHER[kind];
    if (batch % equal === 0) continue;
    throw new KandinskyError("option_invalid", {
      what: "the training config has a mistake",
      where: `${where}, stages.${i}.parts (${name})`,
      seen: `a batch of ${batch} in ${parts} parts`,
      wanted: equal === parts ? "equal parts" : "equal parts of pairs",
    });
  }
  if (result.data.kind === "autoencoder") checkCrop(result.data, where);
  return result.data;
}

function checkCrop({ crop, stages }: RunOf<"autoencoder">, where: string): void {
  for (const [i, { name, sizes }] of stages.entries()) {
    const small = sizes.find(({ width, height }) => Math.min(width, height) < crop);
    if (small === undefined) continue;
    throw new KandinskyError("option_invalid", {
      what: "the training config has a mistake",
      where: `${where}, stages.${i}.sizes (${name})`,
      seen: `${small.width}x${small.height}`,
      wanted: `at least ${crop}x${crop}, the squares that are cut out`,
    });
  }
}

/** Samples that cannot be parted: captions come in pairs of one scene. */
const ROWS_TOGETHER: Readonly<Record<RunKind, number>> = {
  diffusion: 1,
  "text-encoder": 2,
  autoencoder: 1,
  classifier: 1,
  lora: 1,
};

/** What a checkpoint must agree on with the run that goes on from it; how often to save or draw may change. */
export function essentials(config: RunConfig): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !FREE.includes(key)));
}

const FREE: readonly string[] = ["checkpoints", "sheets"];

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
