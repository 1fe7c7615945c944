import { KANDINSKY3_MOVQ, parseMovqConfig } from "./movq/config.ts";
import { movqParameters } from "./movq/model.ts";
import { FLAN_UL2, parseT5Config } from "./t5/config.ts";
import { t5Parameters } from "./t5/model.ts";
import { KANDINSKY3_UNET, parseUNetConfig } from "./unet/config.ts";
import { unetParameters } from "./unet/model.ts";

type Json = Readonly<Record<string, unknown>>;
type Shapes = ReadonlyMap<string, readonly number[]>;

/** A configuration as diffusers and transformers store it, and the shapes of the weights that it goes with. */
interface Release {
  readonly json: Json;
  readonly parameters: () => readonly { readonly name: string; readonly shape: readonly number[] }[];
}

const unet = (inChannels: number): Release => {
  const { layersPerBlock, blockOutChannels, groups, ...config } = KANDINSKY3_UNET;
  const json = {
    _class_name: "Kandinsky3UNet",
    attention_head_dim: config.attentionHeadDim,
    block_out_channels: blockOutChannels,
    cross_attention_dim: config.crossAttentionDim,
    encoder_hid_dim: config.encoderHidDim,
    groups,
    in_channels: inChannels,
    layers_per_block: layersPerBlock,
    time_embedding_dim: config.timeEmbeddingDim,
  };
  return { json, parameters: () => unetParameters(parseUNetConfig(json, "")) };
};

const levels = KANDINSKY3_MOVQ.attentionLevels;
const MOVQ: Json = {
  _class_name: "VQModel",
  act_fn: "silu",
  block_out_channels: KANDINSKY3_MOVQ.blockOutChannels,
  down_block_types: levels.map((has) => (has ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D")),
  in_channels: KANDINSKY3_MOVQ.inChannels,
  latent_channels: KANDINSKY3_MOVQ.latentChannels,
  layers_per_block: KANDINSKY3_MOVQ.layersPerBlock,
  norm_num_groups: KANDINSKY3_MOVQ.normNumGroups,
  norm_type: "spatial",
  num_vq_embeddings: KANDINSKY3_MOVQ.numVqEmbeddings,
  out_channels: KANDINSKY3_MOVQ.outChannels,
  up_block_types: [...levels].reverse().map((has) => (has ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D")),
  vq_embed_dim: KANDINSKY3_MOVQ.vqEmbedDim,
};

const TEXT: Json = {
  architectures: ["T5EncoderModel"],
  model_type: "t5",
  d_ff: FLAN_UL2.dFf,
  d_kv: FLAN_UL2.dKv,
  d_model: FLAN_UL2.dModel,
  feed_forward_proj: "gated-silu",
  layer_norm_epsilon: FLAN_UL2.epsilon,
  num_heads: FLAN_UL2.numHeads,
  num_layers: FLAN_UL2.numLayers,
  relative_attention_max_distance: FLAN_UL2.maxDistance,
  relative_attention_num_buckets: FLAN_UL2.numBuckets,
  vocab_size: FLAN_UL2.vocabSize,
};

const RELEASES = {
  unet: [unet(4), unet(9)],
  movq: [{ json: MOVQ, parameters: () => movqParameters(parseMovqConfig(MOVQ, "")) }],
  text_encoder: [{ json: TEXT, parameters: () => t5Parameters(parseT5Config(TEXT, "")) }],
} as const satisfies Record<string, readonly Release[]>;

/** The tensor of the MoVQ that drawing never reads; the original `movq.pt` lacks it. */
export const MOVQ_CODEBOOK = "quantize.embedding.weight";

/** Other names of the text encoder's table. */
const TIED = "encoder.embed_tokens.weight";

/**
 * The config.json of a released Kandinsky 3 part with weights of these names and shapes; undefined where they are not
 * a release's: shapes alone do not tell the number of heads or of groups.
 */
export function releasedConfig(part: keyof typeof RELEASES, shapes: Shapes): Json | undefined {
  return RELEASES[part].find(({ parameters }) => fits(parameters(), shapes))?.json;
}

function fits(wanted: ReturnType<Release["parameters"]>, shapes: Shapes): boolean {
  const names = new Set(wanted.map(({ name }) => name));
  const known = wanted.every(({ name, shape }) => {
    const seen = shapes.get(name) ?? (name === "shared.weight" ? shapes.get(TIED) : undefined);
    return seen === undefined ? name === MOVQ_CODEBOOK : seen.join() === shape.join();
  });
  return known && [...shapes.keys()].every((name) => names.has(name) || name === TIED);
}

/** The scheduler of the released models. Source: scheduler/scheduler_config.json of kandinsky-community/kandinsky-3. */
export const RELEASED_SCHEDULER: Json = {
  _class_name: "DDPMScheduler",
  beta_schedule: "squaredcos_cap_v2",
  clip_sample: true,
  clip_sample_range: 1,
  num_train_timesteps: 1000,
  prediction_type: "epsilon",
  steps_offset: 1,
  thresholding: false,
  timestep_spacing: "leading",
  variance_type: "fixed_small",
};

/** model_index.json: which classes the parts are of. */
export const RELEASED_INDEX: Json = {
  _class_name: "Kandinsky3Pipeline",
  movq: ["diffusers", "VQModel"],
  scheduler: ["diffusers", "DDPMScheduler"],
  text_encoder: ["transformers", "T5EncoderModel"],
  tokenizer: ["transformers", "T5Tokenizer"],
  unet: ["diffusers", "Kandinsky3UNet"],
};
