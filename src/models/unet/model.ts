import {
  add,
  attention,
  buildGraph,
  concat,
  cos,
  type Graph,
  gather,
  groupNorm,
  layerWeightsOf,
  matmul,
  mul,
  type ParameterShape,
  parametersOf,
  reshape,
  type SequenceLayout,
  sequence,
  silu,
  sin,
  slice,
  type Value,
} from "../../graph/mod.ts";
import {
  affineGroupNorm,
  affineLayerNorm,
  channelLinear,
  channelsOf,
  conv,
  doubleMap,
  halveMap,
  linear,
  Scope,
} from "../../nn/mod.ts";
import { float32 } from "../../tensor/mod.ts";
import type { UNetConfig } from "./config.ts";

/** Sizes that a U-Net graph is built for. */
export interface UNetShape {
  /** Rows of the latent; guidance makes it twice the number of pictures. */
  readonly batch: number;
  /** Latent cells; multiples of 2^(levels - 1). */
  readonly height: number;
  readonly width: number;
  /** Rows of the context, padded ones included. */
  readonly contextLength: number;
  /** How many timesteps one picture takes; the modulation is computed for all of them at once. */
  readonly steps: number;
}

/**
 * Text projection: `encoder_hidden_states` [B,L,encoderHidDim] to `context` [B,L,crossAttentionDim].
 * In the original a file of its own, in diffusers a part of the U-Net.
 */
export function textProjectionGraph(config: UNetConfig, batch: number, length: number): Graph {
  return buildGraph((builder) => {
    const s = new Scope(builder, "encoder_hid_proj");
    const hidden = builder.input("encoder_hidden_states", "float32", [batch, length, config.encoderHidDim]);
    const projected = linear(s.at("projection_linear"), hidden, config.crossAttentionDim, { bias: false });
    return { context: s.tap(affineLayerNorm(s.at("projection_norm"), projected, NORM_EPSILON)) };
  });
}

/**
 * The Kandinsky 3 U-Net. Inputs: `sample` [B,in,H,W]; `timesteps` [S,B], one row a step; `step` [], which
 * row is meant; `context` [B,L,C] from the text projection; `mask_bias` [B,1,1,L], added to the attention
 * scores; `pool_weights` [B,1,L], which rows the pooled text averages. Output: `prediction` [B,out,H,W].
 */
export function unetGraph(config: UNetConfig, shape: UNetShape): Graph {
  return buildGraph((builder) => {
    const s = new Scope(builder);
    const { batch, height, width, contextLength, steps } = shape;
    const sample = builder.input("sample", "float32", [batch, config.inChannels, height, width]);
    const timesteps = builder.input("timesteps", "float32", [steps, batch]);
    const step = builder.input("step", "int64", []);
    const context = builder.input("context", "float32", [batch, contextLength, config.crossAttentionDim]);
    const maskBias = builder.input("mask_bias", "float32", [batch, 1, 1, contextLength]);
    const poolWeights = builder.input("pool_weights", "float32", [batch, 1, contextLength]);

    const text: Text = { context, maskBias };
    const time = conditionOnText(
      s.at("add_time_condition"),
      timeEmbedding(s, timesteps, config),
      text,
      poolWeights,
      config,
    );
    const condition: Condition = { activeTime: silu(time), step, config };

    const initial = config.blockOutChannels[0]! / 2;
    let x = s.at("conv_in").tap(conv(s.at("conv_in"), sample, initial, 3));
    const skips: Value[] = [];
    config.blockOutChannels.forEach((channels, level) => {
      const isLast = level === config.blockOutChannels.length - 1;
      x = downLevel(
        s.at("down_blocks").at(level),
        x,
        channels,
        condition,
        level > 0 ? text : undefined,
        !isLast,
      );
      if (!isLast) skips.push(x);
    });
    const outward = [...config.blockOutChannels].reverse();
    outward.forEach((_, level) => {
      const isFirst = level === 0;
      if (!isFirst) x = concat([x, skips.pop()!], 1);
      const out = outward[level + 1] ?? initial;
      // The reference pairs up levels with attention flags from the top, so only the fourth has none.
      const levelText = level < 3 ? text : undefined;
      x = upLevel(s.at("up_blocks").at(level), x, outward[level]!, out, condition, levelText, !isFirst);
    });
    x = s.at("conv_norm_out").tap(affineGroupNorm(s.at("conv_norm_out"), x, config.groups, NORM_EPSILON));
    return { prediction: conv(s.at("conv_out"), silu(x), config.outChannels, 3) };
  });
}

const NORM_EPSILON = 1e-5;

interface Text {
  readonly context: Value;
  readonly maskBias: Value;
}

interface Condition {
  /** SiLU of the time embedding of every step, [S,B,E]. */
  readonly activeTime: Value;
  readonly step: Value;
  readonly config: UNetConfig;
}

/** Sinusoid (sines first, divisor half - 1) and two linear layers: [S,B] to [S,B,E]. */
function timeEmbedding(s: Scope, timesteps: Value, config: UNetConfig): Value {
  const half = config.blockOutChannels[0]! / 4;
  const frequencies = Array.from({ length: half }, (_, i) => Math.exp((-Math.log(10000) * i) / (half - 1)));
  const angles = mul(
    reshape(timesteps, [...timesteps.shape, 1]),
    s.builder.constant(float32([half], frequencies)),
  );
  const sinusoid = s.at("time_proj").tap(concat([sin(angles), cos(angles)], 2));
  const t = s.at("time_embedding");
  const hidden = silu(linear(t.at("linear_1"), sinusoid, config.timeEmbeddingDim));
  return t.tap(linear(t.at("linear_2"), hidden, config.timeEmbeddingDim));
}

/** Adds the pooled text: one query, the mean of the context rows, attends to the context. */
function conditionOnText(s: Scope, time: Value, text: Text, poolWeights: Value, config: UNetConfig): Value {
  const query = matmul(poolWeights, text.context);
  const a = s.at("attention");
  const pooled = attend(
    linear(a.at("to_q"), query, config.timeEmbeddingDim, { bias: false }),
    linear(a.at("to_k"), text.context, config.timeEmbeddingDim, { bias: false }),
    linear(a.at("to_v"), text.context, config.timeEmbeddingDim, { bias: false }),
    text.maskBias,
    config,
    { queries: "tokens", keys: "tokens" },
  );
  const row = linear(a.at("to_out.0"), pooled, config.timeEmbeddingDim, { bias: false });
  return s.tap(add(time, reshape(row, [query.shape[0]!, config.timeEmbeddingDim])));
}

/** [self-attention at the input's channels], then (ResIn, cross-attention, ResOut) each; the last ResOut halves. */
function downLevel(
  s: Scope,
  x: Value,
  channels: number,
  condition: Condition,
  text: Text | undefined,
  halves: boolean,
): Value {
  if (text) x = selfAttentionBlock(s.at("attentions.0"), x, condition);
  const count = condition.config.layersPerBlock;
  for (let i = 0; i < count; i++) {
    x = resNetBlock(s.at("resnets_in").at(i), x, channels, condition);
    if (text) x = crossAttentionBlock(s.at("attentions").at(i + 1), x, text, condition);
    x = resNetBlock(
      s.at("resnets_out").at(i),
      x,
      channels,
      condition,
      halves && i === count - 1 ? "halve" : "keep",
    );
  }
  return s.tap(x);
}

/** (ResIn, cross-attention, ResOut) each, then [self-attention at the output's channels]; the first ResIn doubles. */
function upLevel(
  s: Scope,
  x: Value,
  channels: number,
  out: number,
  condition: Condition,
  text: Text | undefined,
  doubles: boolean,
): Value {
  const count = condition.config.layersPerBlock;
  for (let i = 0; i < count; i++) {
    x = resNetBlock(
      s.at("resnets_in").at(i),
      x,
      channelsOf(x),
      condition,
      doubles && i === 0 ? "double" : "keep",
    );
    if (text) x = crossAttentionBlock(s.at("attentions").at(i + 1), x, text, condition);
    x = resNetBlock(s.at("resnets_out").at(i), x, i === count - 1 ? out : channels, condition);
  }
  if (text) x = selfAttentionBlock(s.at("attentions.0"), x, condition);
  return s.tap(x);
}

type Resample = "keep" | "double" | "halve";

/** BigGAN-deep bottleneck 1-3-3-1: doubling happens in the first 3x3 block, halving in the second. */
function resNetBlock(
  s: Scope,
  x: Value,
  out: number,
  condition: Condition,
  resample: Resample = "keep",
): Value {
  const middle = Math.max(channelsOf(x), out) >> 1;
  const blocks = s.at("resnet_blocks");
  let y = block(blocks.at(0), x, middle, 1, condition);
  y = block(blocks.at(1), y, middle, 3, condition, resample === "double" ? "double" : "keep");
  y = block(blocks.at(2), y, middle, 3, condition, resample === "halve" ? "halve" : "keep");
  y = block(blocks.at(3), y, out, 1, condition);

  if (resample === "double") x = doubleMap(s.at("shortcut_up_sample"), x);
  if (channelsOf(x) !== out) x = conv(s.at("shortcut_projection"), x, out, 1);
  if (resample === "halve") x = halveMap(s.at("shortcut_down_sample"), x);
  return s.tap(add(x, y));
}

function block(
  s: Scope,
  x: Value,
  out: number,
  kernel: number,
  condition: Condition,
  resample: Resample = "keep",
): Value {
  x = silu(conditionalGroupNorm(s.at("group_norm"), x, condition));
  if (resample === "double") x = doubleMap(s.at("up_sample"), x);
  x = conv(s.at("projection"), x, out, kernel);
  if (resample === "halve") x = halveMap(s.at("down_sample"), x);
  return x;
}

/** GN(x) * (1 + scale) + shift; scale is the first half of Linear(SiLU(time)). */
function conditionalGroupNorm(s: Scope, x: Value, { activeTime, step, config }: Condition): Value {
  const channels = channelsOf(x);
  const [steps, batch] = activeTime.shape;
  const modulation = linear(s.at("context_mlp.1"), activeTime, 2 * channels);
  const perMap = [steps!, batch!, channels, 1, 1];
  const scale = reshape(add(slice(modulation, 2, 0, channels), 1), perMap);
  const shift = reshape(slice(modulation, 2, channels, 2 * channels), perMap);
  return groupNorm(x, gather(scale, step), gather(shift, step), {
    groups: config.groups,
    epsilon: NORM_EPSILON,
  });
}

function selfAttentionBlock(s: Scope, x: Value, condition: Condition): Value {
  return attentionBlock(s, x, condition, (a, normal) => {
    const channels = channelsOf(x);
    const project = (name: string) =>
      asSequence(channelLinear(a.at(name), normal, channels, { bias: false }));
    return attend(project("to_q"), project("to_k"), project("to_v"), undefined, condition.config, {
      queries: "channels",
      keys: "channels",
    });
  });
}

function crossAttentionBlock(s: Scope, x: Value, text: Text, condition: Condition): Value {
  return attentionBlock(s, x, condition, (a, normal) => {
    const channels = channelsOf(x);
    const q = asSequence(channelLinear(a.at("to_q"), normal, channels, { bias: false }));
    const k = linear(a.at("to_k"), text.context, channels, { bias: false });
    const v = linear(a.at("to_v"), text.context, channels, { bias: false });
    return attend(q, k, v, text.maskBias, condition.config, { queries: "channels", keys: "tokens" });
  });
}

/** x += Attention(CGN(x)); x += FF(CGN(x)). `mix` maps the normed map to a sequence [B,C,HW]. */
function attentionBlock(
  s: Scope,
  x: Value,
  condition: Condition,
  mix: (a: Scope, normal: Value) => Value,
): Value {
  const a = s.at("attention");
  const mixed = reshape(mix(a, conditionalGroupNorm(s.at("in_norm"), x, condition)), x.shape);
  x = add(x, channelLinear(a.at("to_out.0"), mixed, channelsOf(x), { bias: false }));
  const normal = conditionalGroupNorm(s.at("out_norm"), x, condition);
  return s.tap(add(x, feedForward(s.at("feed_forward"), normal)));
}

const EXPANSION = 4;

function feedForward(s: Scope, x: Value): Value {
  const channels = channelsOf(x);
  const hidden = silu(conv(s.at(0), x, EXPANSION * channels, 1, { bias: false }));
  return conv(s.at(2), hidden, channels, 1, { bias: false });
}

function attend(
  q: Value,
  k: Value,
  v: Value,
  bias: Value | undefined,
  { attentionHeadDim }: UNetConfig,
  layouts: { readonly queries: SequenceLayout; readonly keys: SequenceLayout },
): Value {
  const heads = sequence(q, layouts.queries).channels / attentionHeadDim;
  return attention(q, k, v, bias, { heads, scale: attentionHeadDim ** -0.5, ...layouts });
}

/** A map [B,C,H,W] as a sequence [B,C,HW]. */
function asSequence(x: Value): Value {
  const [batch, channels, height, width] = x.shape;
  return reshape(x, [batch!, channels!, height! * width!]);
}

/** Every weight of the U-Net and its text projection with its full shape, by checkpoint key. */
export function unetParameters(config: UNetConfig): ParameterShape[] {
  return smallestGraphs(config).flatMap(parametersOf);
}

/** Those of them that low-rank adapters can change. */
export function unetLayerWeights(config: UNetConfig): ParameterShape[] {
  return smallestGraphs(config).flatMap(layerWeightsOf);
}

function smallestGraphs(config: UNetConfig): Graph[] {
  const side = 2 ** (config.blockOutChannels.length - 1);
  const shape = { batch: 1, height: side, width: side, contextLength: 1, steps: 1 };
  return [textProjectionGraph(config, 1, 1), unetGraph(config, shape)];
}
