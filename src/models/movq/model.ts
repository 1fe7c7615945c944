import {
  add,
  argmin,
  attention,
  buildGraph,
  type Graph,
  gather,
  groupNorm,
  matmul,
  mul,
  type Padding,
  type ParameterShape,
  parametersOf,
  reduceSum,
  reshape,
  resizeNearest,
  silu,
  sub,
  transpose,
  type Value,
} from "../../graph/mod.ts";
import { affineGroupNorm, channelLinear, channelsOf, conv, perChannel, Scope } from "../../nn/mod.ts";
import type { MovqConfig } from "./config.ts";

/** Sizes of a picture batch in pixels (encoder) or of a latent batch in cells (decoder, quantiser). */
export interface MapShape {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
}

/** `image` [B,3,H,W] in [-1,1] to `latents` [B,z,h,w]. Plain group norm throughout. */
export function movqEncoderGraph(config: MovqConfig, { batch, height, width }: MapShape): Graph {
  return buildGraph((builder) => {
    const root = new Scope(builder);
    const s = root.at("encoder");
    const image = builder.input("image", "float32", [batch, config.inChannels, height, width]);
    const norm: Norm = (at, x) => affineGroupNorm(at, x, config.normNumGroups, NORM_EPSILON);
    let x = conv(s.at("conv_in"), image, config.blockOutChannels[0]!, 3);
    config.blockOutChannels.forEach((channels, level) => {
      const d = s.at("down_blocks").at(level);
      for (let j = 0; j < config.layersPerBlock; j++) {
        x = resBlock(d.at("resnets").at(j), x, channels, norm);
        if (config.attentionLevels[level])
          x = attentionBlock(d.at("attentions").at(j), x, norm, "group_norm");
      }
      if (level < config.blockOutChannels.length - 1) {
        x = conv(d.at("downsamplers.0.conv"), x, channels, 3, { stride: 2, padding: RIGHT_AND_BOTTOM });
      }
      x = d.tap(x);
    });
    x = middle(s.at("mid_block"), x, norm, "group_norm");
    x = silu(norm(s.at("conv_norm_out"), x));
    x = s.at("output").tap(conv(s.at("conv_out"), x, config.latentChannels, 3));
    return { latents: conv(root.at("quant_conv"), x, config.vqEmbedDim, 1) };
  });
}

/**
 * `latents` [B,z,h,w], not quantised, to `image` [B,3,H,W], about [-1,1]. Every norm is a spatial norm
 * conditioned on the latents as they come in, before post_quant_conv.
 */
export function movqDecoderGraph(config: MovqConfig, { batch, height, width }: MapShape): Graph {
  return buildGraph((builder) => {
    const root = new Scope(builder);
    const s = root.at("decoder");
    const latents = builder.input("latents", "float32", [batch, config.vqEmbedDim, height, width]);
    const norm: Norm = (at, x) => spatialNorm(at, x, latents);
    let x = root
      .at("post_quant_conv")
      .tap(conv(root.at("post_quant_conv"), latents, config.latentChannels, 1));
    const inward = [...config.blockOutChannels].reverse();
    x = s.at("conv_in").tap(conv(s.at("conv_in"), x, inward[0]!, 3));
    x = middle(s.at("mid_block"), x, norm, "spatial_norm");
    inward.forEach((channels, level) => {
      const u = s.at("up_blocks").at(level);
      for (let j = 0; j < config.layersPerBlock + 1; j++) {
        x = resBlock(u.at("resnets").at(j), x, channels, norm);
        if (config.attentionLevels[inward.length - 1 - level]) {
          x = attentionBlock(u.at("attentions").at(j), x, norm, "spatial_norm");
        }
      }
      if (level < inward.length - 1) x = conv(u.at("upsamplers.0.conv"), resizeNearest(x, 2), channels, 3);
      x = u.tap(x);
    });
    x = silu(norm(s.at("conv_norm_out"), x));
    return { image: conv(s.at("conv_out"), x, config.outChannels, 3) };
  });
}

/** `latents` [B,z,h,w] to `indices` [B,h,w] of the nearest code (Euclidean) and its `quantized` [B,z,h,w]. */
export function movqQuantizerGraph(config: MovqConfig, { batch, height, width }: MapShape): Graph {
  return buildGraph((builder) => {
    const s = new Scope(builder, "quantize.embedding");
    const codes = s.parameter("weight", [config.numVqEmbeddings, config.vqEmbedDim]);
    const latents = builder.input("latents", "float32", [batch, config.vqEmbedDim, height, width]);
    const cells = transpose(latents, [0, 2, 3, 1]);
    // |z - e|^2 without |z|^2, which is the same for every code.
    const distance = sub(reduceSum(mul(codes, codes), 1), mul(matmul(cells, codes, { transposeB: true }), 2));
    const indices = argmin(distance);
    return { indices, quantized: transpose(gather(codes, indices), [0, 3, 1, 2]) };
  });
}

const NORM_EPSILON = 1e-6;
const RIGHT_AND_BOTTOM: Padding = [0, 0, 1, 1];

/** Spatial norms have 32 groups whatever the config says (that number counts for the encoder). */
const SPATIAL_NORM_GROUPS = 32;

type Norm = (s: Scope, x: Value) => Value;

/** norm, SiLU, 3x3, twice; a 1x1 shortcut where the channels change. */
function resBlock(s: Scope, x: Value, out: number, norm: Norm): Value {
  let y = conv(s.at("conv1"), silu(norm(s.at("norm1"), x)), out, 3);
  y = conv(s.at("conv2"), silu(norm(s.at("norm2"), y)), out, 3);
  if (channelsOf(x) !== out) x = conv(s.at("conv_shortcut"), x, out, 1);
  return add(x, y);
}

/** One head over all cells of the map, all projections with bias. */
function attentionBlock(s: Scope, x: Value, norm: Norm, normName: string): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const normal = norm(s.at(normName), x);
  const project = (name: string) =>
    reshape(channelLinear(s.at(name), normal, channels), [batch, channels, height * width]);
  const mixed = attention(project("to_q"), project("to_k"), project("to_v"), undefined, {
    heads: 1,
    scale: channels ** -0.5,
    queries: "channels",
    keys: "channels",
  });
  return add(x, channelLinear(s.at("to_out.0"), reshape(mixed, x.shape), channels));
}

function middle(s: Scope, x: Value, norm: Norm, normName: string): Value {
  x = resBlock(s.at("resnets.0"), x, channelsOf(x), norm);
  x = attentionBlock(s.at("attentions.0"), x, norm, normName);
  return s.tap(resBlock(s.at("resnets.1"), x, channelsOf(x), norm));
}

/**
 * (GN(x) * weight + bias) * conv_y(z) + conv_b(z), with z brought to x's size by nearest neighbour. A 1x1
 * convolution commutes with that resize, so scale and shift are computed at z's size and the norm spreads them.
 */
function spatialNorm(s: Scope, x: Value, latents: Value): Value {
  const channels = channelsOf(x);
  const n = s.at("norm_layer");
  const y = conv(s.at("conv_y"), latents, channels, 1);
  const scale = mul(y, perChannel(n.parameter("weight", [channels])));
  const shift = add(
    mul(y, perChannel(n.parameter("bias", [channels]))),
    conv(s.at("conv_b"), latents, channels, 1),
  );
  return groupNorm(x, scale, shift, { groups: SPATIAL_NORM_GROUPS, epsilon: NORM_EPSILON });
}

/** Every weight of encoder, decoder and quantiser with its full shape, by checkpoint key. */
export function movqParameters(config: MovqConfig): ParameterShape[] {
  const side = 2 ** (config.blockOutChannels.length - 1);
  return [
    movqEncoderGraph(config, { batch: 1, height: side, width: side }),
    movqDecoderGraph(config, { batch: 1, height: 1, width: 1 }),
    movqQuantizerGraph(config, { batch: 1, height: 1, width: 1 }),
  ].flatMap(parametersOf);
}
