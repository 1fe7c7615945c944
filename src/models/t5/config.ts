import { z } from "zod";
import { checkFamily, configError, count, readConfig } from "../read-config.ts";

/** What the T5 encoder depends on. */
export interface T5Config {
  /** Width of the hidden states. */
  readonly dModel: number;
  /** Width of a head; heads times this need not be dModel. */
  readonly dKv: number;
  readonly numHeads: number;
  /** Width of the gated feed-forward layer. */
  readonly dFf: number;
  readonly numLayers: number;
  readonly vocabSize: number;
  /** Relative position buckets, half of them for keys after the query. */
  readonly numBuckets: number;
  /** Distance in tokens from which all keys fall in the last bucket. */
  readonly maxDistance: number;
  /** Added to the mean square in each norm. */
  readonly epsilon: number;
}

/**
 * The encoder of FLAN-UL2, the text encoder of Kandinsky 3.
 * Source: text_encoder/config.json of kandinsky-community/kandinsky-3.
 */
export const FLAN_UL2: T5Config = {
  dModel: 4096,
  dKv: 256,
  numHeads: 16,
  dFf: 16384,
  numLayers: 32,
  vocabSize: 32128,
  numBuckets: 32,
  maxDistance: 128,
  epsilon: 1e-6,
};

/** Keys of transformers' T5Config; the optional ones have its defaults. */
const SCHEMA = z.object({
  d_model: count,
  d_kv: count,
  num_heads: count,
  d_ff: count,
  num_layers: count,
  vocab_size: count,
  relative_attention_num_buckets: count.multipleOf(4, { error: "a multiple of 4" }).default(32),
  relative_attention_max_distance: count.default(128),
  layer_norm_epsilon: z.number({ error: "a number" }).positive({ error: "a number above 0" }).default(1e-6),
  feed_forward_proj: z.literal("gated-silu", {
    error: '"gated-silu", as FLAN-UL2 has: other feed-forward layers are not built here',
  }),
});

/**
 * Reads text_encoder/config.json. `where` is its path, for messages.
 * Throws `model_family` for another kind of encoder, `model_config` for a value that cannot work.
 */
export function parseT5Config(json: unknown, where: string): T5Config {
  checkFamily(json, "model_type", ["t5"], where);
  const c = readConfig(SCHEMA, json, where);
  const exact = c.relative_attention_num_buckets / 4;
  if (c.relative_attention_max_distance <= exact) {
    throw configError(
      where,
      "relative_attention_max_distance",
      c.relative_attention_max_distance,
      `more than ${exact}, the distances with a bucket of their own`,
    );
  }
  return {
    dModel: c.d_model,
    dKv: c.d_kv,
    numHeads: c.num_heads,
    dFf: c.d_ff,
    numLayers: c.num_layers,
    vocabSize: c.vocab_size,
    numBuckets: c.relative_attention_num_buckets,
    maxDistance: c.relative_attention_max_distance,
    epsilon: c.layer_norm_epsilon,
  };
}
