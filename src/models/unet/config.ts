import { z } from "zod";
import { checkFamily, configError, count, counts, readConfig, sameForAll } from "../read-config.ts";

/** What the Kandinsky 3 U-Net depends on. */
export interface UNetConfig {
  /** 4 latent channels; 9 for inpainting: latent 4, keep mask 1, masked latent 4. */
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels after each down level; the first convolution has half of the first. */
  readonly blockOutChannels: readonly number[];
  /** Triples of residual block, cross-attention and residual block in a level. */
  readonly layersPerBlock: number;
  /** Groups of every norm. */
  readonly groups: number;
  readonly attentionHeadDim: number;
  readonly timeEmbeddingDim: number;
  /** Width of the projected text. */
  readonly crossAttentionDim: number;
  /** Width of the text encoder's states. */
  readonly encoderHidDim: number;
}

/** The released U-Net. Source: unet/config.json of kandinsky-community/kandinsky-3. */
export const KANDINSKY3_UNET: UNetConfig = {
  inChannels: 4,
  outChannels: 4,
  blockOutChannels: [384, 768, 1536, 3072],
  layersPerBlock: 3,
  groups: 32,
  attentionHeadDim: 64,
  timeEmbeddingDim: 1536,
  crossAttentionDim: 4096,
  encoderHidDim: 4096,
};

/** The key in a configuration file behind each field, for messages. */
type Keys = Readonly<Record<keyof UNetConfig, string>>;

interface Dialect {
  readonly schema: z.ZodType<UNetConfig>;
  readonly keys: Keys;
}

/** diffusers' Kandinsky3UNet. Its class has no out_channels: 9 input channels make 4 all the same. */
const DIFFUSERS: Dialect = {
  schema: z
    .object({
      in_channels: count,
      out_channels: count.optional(),
      block_out_channels: counts,
      layers_per_block: sameForAll,
      groups: count,
      attention_head_dim: count,
      time_embedding_dim: count,
      cross_attention_dim: sameForAll,
      encoder_hid_dim: count,
    })
    .transform((c) => ({
      inChannels: c.in_channels,
      outChannels: c.out_channels ?? defaultOutChannels(c.in_channels),
      blockOutChannels: c.block_out_channels,
      layersPerBlock: c.layers_per_block,
      groups: c.groups,
      attentionHeadDim: c.attention_head_dim,
      timeEmbeddingDim: c.time_embedding_dim,
      crossAttentionDim: c.cross_attention_dim,
      encoderHidDim: c.encoder_hid_dim,
    })),
  keys: {
    inChannels: "in_channels",
    outChannels: "out_channels",
    blockOutChannels: "block_out_channels",
    layersPerBlock: "layers_per_block",
    groups: "groups",
    attentionHeadDim: "attention_head_dim",
    timeEmbeddingDim: "time_embedding_dim",
    crossAttentionDim: "cross_attention_dim",
    encoderHidDim: "encoder_hid_dim",
  },
};

/** Attention from the second level on, which is the only pattern built here. */
const attentionFlags = z
  .array(z.boolean(), { error: "a list of true and false" })
  .refine((flags) => flags.every((flag, level) => flag === level > 0), {
    error: "false for the first level and true for the others",
  })
  .optional();

/**
 * The original class, as the forks before diffusers 0.25 saved it (ai-forever/kandinsky3-diffusers).
 * The optional keys have that class's defaults.
 */
const ORIGINAL: Dialect = {
  schema: z
    .object({
      model_channels: count,
      init_channels: count,
      num_channels: count,
      out_channels: count.optional(),
      time_embed_dim: count,
      context_dim: count.default(4096),
      model_dim: count.default(4096),
      groups: count.default(32),
      head_dim: count.default(64),
      dim_mult: counts,
      num_blocks: sameForAll,
      expansion_ratio: z.literal(4, { error: "4" }).default(4),
      compression_ratio: z.literal(2, { error: "2" }).default(2),
      add_cross_attention: attentionFlags,
      add_self_attention: attentionFlags,
    })
    .refine((c) => c.init_channels * 2 === c.model_channels * c.dim_mult[0]!, {
      path: ["init_channels"],
      error: "half the channels of the first level",
    })
    .transform((c) => ({
      inChannels: c.num_channels,
      outChannels: c.out_channels ?? defaultOutChannels(c.num_channels),
      blockOutChannels: c.dim_mult.map((factor) => factor * c.model_channels),
      layersPerBlock: c.num_blocks,
      groups: c.groups,
      attentionHeadDim: c.head_dim,
      timeEmbeddingDim: c.time_embed_dim,
      crossAttentionDim: c.context_dim,
      encoderHidDim: c.model_dim,
    })),
  keys: {
    inChannels: "num_channels",
    outChannels: "out_channels",
    blockOutChannels: "dim_mult",
    layersPerBlock: "num_blocks",
    groups: "groups",
    attentionHeadDim: "head_dim",
    timeEmbeddingDim: "time_embed_dim",
    crossAttentionDim: "context_dim",
    encoderHidDim: "model_dim",
  },
};

/** An inpainting U-Net predicts the latent's four channels only. */
function defaultOutChannels(inChannels: number): number {
  return inChannels === 9 ? 4 : inChannels;
}

/**
 * Reads unet/config.json in either dialect. `where` is its path, for messages.
 * Throws `model_family` for another U-Net, `model_config` for a value that cannot work.
 */
export function parseUNetConfig(json: unknown, where: string): UNetConfig {
  const isOriginal = typeof json === "object" && json !== null && "model_channels" in json;
  // The forks saved the original class under the name of Stable Diffusion's.
  const classes = isOriginal ? ["UNet2DConditionModel", "UNetKandi3", "Kandinsky3UNet"] : ["Kandinsky3UNet"];
  checkFamily(json, "_class_name", classes, where);
  const { schema, keys } = isOriginal ? ORIGINAL : DIFFUSERS;
  const config = readConfig(schema, json, where);
  checkDivisible(config, keys, where);
  return config;
}

/**
 * The JSON of a U-Net with so many more input channels, in the dialect that it is in. The output channels, which follow
 * from the input where nothing else is said, stay as they are.
 */
export function widenUNetJson(
  json: Readonly<Record<string, unknown>>,
  { inChannels, outChannels }: UNetConfig,
  extra: number,
): Readonly<Record<string, unknown>> {
  const { keys } = "model_channels" in json ? ORIGINAL : DIFFUSERS;
  return { ...json, [keys.inChannels]: inChannels + extra, [keys.outChannels]: outChannels };
}

/** Norms need whole groups and attention whole heads, at every width that occurs between the layers. */
function checkDivisible(config: UNetConfig, keys: Keys, where: string): void {
  const { blockOutChannels, layersPerBlock, groups, attentionHeadDim, timeEmbeddingDim } = config;
  if (layersPerBlock < 2) {
    const wanted = "at least 2: the first block of an up level takes the skip in, the last one narrows";
    throw configError(where, keys.layersPerBlock, layersPerBlock, wanted);
  }
  const odd = blockOutChannels.find((n, level) => n % (level === 0 ? 4 : 2) !== 0);
  if (odd !== undefined) {
    throw configError(
      where,
      keys.blockOutChannels,
      blockOutChannels,
      "even numbers, the first a multiple of 4",
    );
  }
  const { normed, attended } = innerWidths(blockOutChannels);
  const ungrouped = normed.find((width) => width % groups !== 0);
  if (ungrouped !== undefined) {
    const wanted = `a number that divides every normalised width, such as ${ungrouped}`;
    throw configError(where, keys.groups, groups, wanted);
  }
  const headless = [timeEmbeddingDim, ...attended].find((width) => width % attentionHeadDim !== 0);
  if (headless !== undefined) {
    const name = headless === timeEmbeddingDim ? keys.timeEmbeddingDim : keys.blockOutChannels;
    const wanted = `a number that divides every width with attention, such as ${headless} (${name})`;
    throw configError(where, keys.attentionHeadDim, attentionHeadDim, wanted);
  }
}

/** Channel counts that meet a norm, and those that meet attention, in the order of the model. */
function innerWidths(blockOutChannels: readonly number[]): { normed: number[]; attended: number[] } {
  const initial = blockOutChannels[0]! / 2;
  const normed: number[] = [];
  const attended: number[] = [];
  const addResNet = (from: number, to: number) => normed.push(from, Math.max(from, to) / 2, to);
  blockOutChannels.forEach((out, level) => {
    const from = blockOutChannels[level - 1] ?? initial;
    addResNet(from, out);
    addResNet(out, out);
    if (level > 0) attended.push(from, out);
  });
  const outward = [...blockOutChannels].reverse();
  outward.forEach((width, level) => {
    const out = outward[level + 1] ?? initial;
    // With the skip joined the width is doubled, which asks for nothing more.
    addResNet(width, width);
    addResNet(width, out);
    // The reference counts its attention flags from the top: of the up levels only the fourth lacks it.
    if (level < 3) attended.push(width, out);
  });
  return { normed, attended };
}
