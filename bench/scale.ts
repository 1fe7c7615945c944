import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EMBEDDED_MODEL } from "../src/pipelines/mod.ts";
import type { FilmCases } from "./films.ts";
import type { MovqCase, NanoCase, PeakCase, StepCase, TextCase, UNetCase } from "./jobs.ts";

/** How large the measured models and pictures are. */
export interface Scale {
  readonly name: "full" | "smoke";
  /** Configurations as diffusers and transformers write them. */
  readonly configs: Readonly<Record<"unet" | "movq" | "text_encoder", Readonly<Record<string, unknown>>>>;
  readonly peak: readonly PeakCase[];
  readonly unet: readonly UNetCase[];
  readonly movq: readonly MovqCase[];
  readonly text: readonly TextCase[];
  readonly nano: readonly NanoCase[];
  /** Folder of the U-Net that the training steps train. */
  readonly trained: string;
  readonly step: StepCase;
  readonly train: readonly StepCase[];
  /** Sums of two processes: sizes, and how often each. */
  readonly sums: { readonly bytes: readonly number[]; readonly repeats: number };
  /** The picture of the whole pipeline. */
  readonly full: { readonly side: number; readonly steps: number };
  /** Whole command lines of the cold measurement. */
  readonly coldRuns: number;
  readonly films: FilmCases;
}

/** The released model. Its text encoder is measured with 2 of its 32 equal layers. */
export function fullScale(large: boolean): Scale {
  const tokens = 128;
  return {
    name: "full",
    configs: {
      unet: unetConfig({
        channels: [384, 768, 1536, 3072],
        layers: 3,
        groups: 32,
        head: 64,
        time: 1536,
        text: 4096,
      }),
      movq: movqConfig({ channels: [256, 512, 512, 1024], layers: 2, codes: 16384 }),
      text_encoder: textConfig({ width: 4096, head: 256, heads: 16, inner: 16384, vocabulary: 32128 }),
    },
    peak: peakCases(
      [1024, 2048, 4096],
      [
        [192, 64],
        [384, 32],
        [768, 16],
      ],
    ),
    unet: [
      ...unetCases({ width: 256, height: 256, steps: 25, repeats: 5, tokens }),
      ...unetCases({ width: 512, height: 512, steps: 1, repeats: 3, tokens }),
      ...unetCases({ width: 512, height: 768, steps: 1, repeats: 2, tokens }),
    ],
    movq: [
      movqCase("decode", 256, 2),
      movqCase("decode", 512, 1),
      ...(large ? [movqCase("decode", 1024, 1)] : []),
      movqCase("encode", 512, 1),
    ],
    text: [{ name: "2 layers, 77 tokens", tokens: 77, repeats: 5 }],
    nano: [nanoCase(25, 5)],
    trained: join(EMBEDDED_MODEL, "unet"),
    step: { name: "batch 64 of 8x8 latents", batch: 64, side: 8, tokens: 32, repeats: 10 },
    train: [8, 16].map((side) => ({
      name: `batch 64 of ${side}x${side} latents`,
      batch: 64,
      side,
      tokens: 32,
      repeats: 8,
    })),
    sums: { bytes: [4, 12, 16, 18, 20, 22, 24, 26].map((power) => 2 ** power), repeats: 20 },
    full: { side: 512, steps: 25 },
    coldRuns: 5,
    films: { side: 512, lengths: [10, 1000], animated: 96, zoom: [4, 24] },
  };
}

/** Every line in a minute. */
export function smokeScale(): Scale {
  return {
    name: "smoke",
    configs: {
      unet: unetConfig({ channels: [32, 32, 64, 64], layers: 2, groups: 8, head: 16, time: 64, text: 64 }),
      movq: movqConfig({ channels: [32, 32, 32, 64], layers: 1, codes: 64 }),
      text_encoder: textConfig({ width: 64, head: 16, heads: 4, inner: 128, vocabulary: 512 }),
    },
    peak: peakCases(
      [64, 128, 256],
      [
        [32, 16],
        [64, 8],
        [96, 8],
      ],
    ),
    unet: [
      ...unetCases({ width: 64, height: 64, steps: 3, repeats: 2, tokens: 7 }),
      ...unetCases({ width: 64, height: 128, steps: 1, repeats: 2, tokens: 7 }),
    ],
    movq: [movqCase("decode", 64, 1), movqCase("encode", 64, 1)],
    text: [{ name: "2 layers, 7 tokens", tokens: 7, repeats: 2 }],
    nano: [nanoCase(3, 1)],
    trained: fileURLToPath(new URL("../../golden/unet-grad", import.meta.url)),
    step: { name: "batch 2 of 8x8 latents", batch: 2, side: 8, tokens: 7, repeats: 2 },
    train: [{ name: "batch 2 of 8x8 latents", batch: 2, side: 8, tokens: 7, repeats: 2 }],
    sums: { bytes: [16, 2 ** 16, 2 ** 22], repeats: 2 },
    full: { side: 64, steps: 2 },
    coldRuns: 1,
    films: { side: 64, lengths: [2, 4], animated: 3, zoom: [2, 4] },
  };
}

function peakCases(
  products: readonly number[],
  convolutions: readonly (readonly [number, number])[],
): PeakCase[] {
  return [
    ...products.map((side) => ({ name: `product ${side}`, op: "product" as const, side })),
    ...convolutions.map(([channels, side]) => ({
      name: `3x3 convolution ${channels} at ${side}x${side}`,
      op: "convolution" as const,
      channels,
      side,
    })),
  ];
}

interface UNetSizes {
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly repeats: number;
  readonly tokens: number;
}

const FIRST_TIME = 961;

function unetCases({ width, height, steps, repeats, tokens }: UNetSizes): UNetCase[] {
  const times = Array.from({ length: steps }, (_, i) => FIRST_TIME - Math.floor(960 / steps) * i);
  return [1, 2].map((batch) => ({
    name: `${width}x${height} batch ${batch}`,
    batch,
    width,
    height,
    tokens,
    times,
    repeats,
  }));
}

function movqCase(direction: "decode" | "encode", side: number, repeats: number): MovqCase {
  return { name: `${direction} ${side}x${side}`, direction, width: side, height: side, repeats };
}

function nanoCase(steps: number, repeats: number): NanoCase {
  return { name: `${steps} steps`, prompt: "two red apples", seed: 7, side: 64, steps, repeats };
}

interface UNetWidths {
  readonly channels: readonly number[];
  readonly layers: number;
  readonly groups: number;
  readonly head: number;
  readonly time: number;
  readonly text: number;
}

function unetConfig({ channels, layers, groups, head, time, text }: UNetWidths) {
  return {
    _class_name: "Kandinsky3UNet",
    in_channels: 4,
    time_embedding_dim: time,
    groups,
    attention_head_dim: head,
    layers_per_block: layers,
    block_out_channels: channels,
    cross_attention_dim: text,
    encoder_hid_dim: text,
  };
}

function movqConfig(w: {
  readonly channels: readonly number[];
  readonly layers: number;
  readonly codes: number;
}) {
  const levels = w.channels.length;
  const down = w.channels.map((_, i) => (i === levels - 1 ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D"));
  const up = w.channels.map((_, i) => (i === 0 ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D"));
  return {
    _class_name: "VQModel",
    act_fn: "silu",
    in_channels: 3,
    out_channels: 3,
    block_out_channels: w.channels,
    down_block_types: down,
    up_block_types: up,
    layers_per_block: w.layers,
    latent_channels: 4,
    num_vq_embeddings: w.codes,
    vq_embed_dim: 4,
    norm_num_groups: 32,
    norm_type: "spatial",
    mid_block_add_attention: true,
  };
}

interface TextWidths {
  readonly width: number;
  readonly head: number;
  readonly heads: number;
  readonly inner: number;
  readonly vocabulary: number;
}

function textConfig({ width, head, heads, inner, vocabulary }: TextWidths) {
  return {
    model_type: "t5",
    d_model: width,
    d_kv: head,
    num_heads: heads,
    d_ff: inner,
    num_layers: 2,
    vocab_size: vocabulary,
    feed_forward_proj: "gated-silu",
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    layer_norm_epsilon: 1e-6,
    dropout_rate: 0,
  };
}
