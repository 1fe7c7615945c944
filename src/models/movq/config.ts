import { z } from "zod";
import { checkFamily, configError, count, counts, readConfig } from "../read-config.ts";

/** What MoVQ's encoder, quantiser and decoder depend on. Levels count from the image inwards. */
export interface MovqConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly blockOutChannels: readonly number[];
  /** Residual blocks of an encoder level; a decoder level has one more. */
  readonly layersPerBlock: number;
  /** Channels between the encoder and quant_conv. */
  readonly latentChannels: number;
  readonly numVqEmbeddings: number;
  /** Channels of a code, and of the latents that the U-Net works on. */
  readonly vqEmbedDim: number;
  /** Groups of the encoder's norms. The decoder's spatial norms always have 32. */
  readonly normNumGroups: number;
  /** Which levels have attention, in the encoder and in the decoder. */
  readonly attentionLevels: readonly boolean[];
}

/** Groups of every spatial norm. Source: diffusers' SpatialNorm. */
const SPATIAL_NORM_GROUPS = 32;

/**
 * Sber-MoVQGAN 270M with 8 pixels a latent cell.
 * Source: movq/config.json of kandinsky-community/kandinsky-3.
 */
export const KANDINSKY3_MOVQ: MovqConfig = {
  inChannels: 3,
  outChannels: 3,
  blockOutChannels: [256, 512, 512, 1024],
  layersPerBlock: 2,
  latentChannels: 4,
  numVqEmbeddings: 16384,
  vqEmbedDim: 4,
  normNumGroups: 32,
  attentionLevels: [false, false, false, true],
};

const SCHEMA = z.object({
  in_channels: count,
  out_channels: count,
  block_out_channels: counts,
  layers_per_block: count,
  latent_channels: count,
  num_vq_embeddings: count,
  vq_embed_dim: count.nullish(),
  norm_num_groups: count,
  down_block_types: blockTypes({ DownEncoderBlock2D: false, AttnDownEncoderBlock2D: true }),
  up_block_types: blockTypes({ UpDecoderBlock2D: false, AttnUpDecoderBlock2D: true }),
  norm_type: z.literal("spatial", { error: '"spatial", as MoVQ has' }),
  act_fn: z.literal("silu", { error: '"silu"' }),
  mid_block_add_attention: z.literal(true, { error: "true" }).default(true),
});

/** Block class names, read as whether the block has attention. */
function blockTypes(attentionOf: Readonly<Record<string, boolean>>) {
  const names = Object.keys(attentionOf);
  const name = z.enum(names, { error: names.join(" or ") }).transform((type) => attentionOf[type]!);
  return z.array(name, { error: "a list of block names" });
}

/**
 * Reads movq/config.json (diffusers' VQModel). `where` is its path, for messages.
 * Throws `model_family` for another kind of autoencoder, `model_config` for a value that cannot work.
 */
export function parseMovqConfig(json: unknown, where: string): MovqConfig {
  checkFamily(json, "_class_name", ["VQModel"], where);
  const c = readConfig(SCHEMA, json, where);
  const channels = c.block_out_channels;
  const levels = channels.length;
  for (const key of ["down_block_types", "up_block_types"] as const) {
    if (c[key].length !== levels)
      throw configError(where, key, c[key].length, `${levels} blocks, one a level`);
  }
  const attentionLevels = c.down_block_types;
  if (!c.up_block_types.every((attention, i) => attention === attentionLevels[levels - 1 - i])) {
    const seen = (json as Readonly<Record<string, unknown>>)["up_block_types"];
    throw configError(
      where,
      "up_block_types",
      seen,
      "attention at the levels of down_block_types, from the last",
    );
  }
  for (const groups of [c.norm_num_groups, SPATIAL_NORM_GROUPS]) {
    if (channels.every((n) => n % groups === 0)) continue;
    const whose = groups === c.norm_num_groups ? "norm_num_groups" : "the spatial norms' groups";
    throw configError(where, "block_out_channels", channels, `multiples of ${groups}, ${whose}`);
  }
  return {
    inChannels: c.in_channels,
    outChannels: c.out_channels,
    blockOutChannels: channels,
    layersPerBlock: c.layers_per_block,
    latentChannels: c.latent_channels,
    numVqEmbeddings: c.num_vq_embeddings,
    vqEmbedDim: c.vq_embed_dim ?? c.latent_channels,
    normNumGroups: c.norm_num_groups,
    attentionLevels,
  };
}
