import {
  add,
  attention,
  buildGraph,
  type Graph,
  gather,
  mul,
  type ParameterShape,
  parametersOf,
  reshape,
  silu,
  transpose,
  type Value,
} from "../../graph/mod.ts";
import { affineRmsNorm, linear, Scope } from "../../nn/mod.ts";
import { tensor } from "../../tensor/mod.ts";
import type { T5Config } from "./config.ts";

/** Which blocks of the encoder a graph holds: a large encoder is cut so that one part is in memory at a time. */
export interface T5Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Blocks `from` to `to` of the T5 encoder (v1.1, gated SiLU). Inputs: `ids` [B,L] int64 for the first part,
 * else `hidden_before` [B,L,D] and `position_bias` [1,heads,L,L]; `mask_bias` [B,1,1,L], added to the scores.
 * Outputs: `hidden` [B,L,D], after the last block with the final norm; `position_bias` from the first part.
 */
export function t5Graph(config: T5Config, batch: number, length: number, range: T5Range): Graph {
  return buildGraph((builder) => {
    const s = new Scope(builder);
    const encoder = s.at("encoder");
    const isFirst = range.from === 0;
    const isLast = range.to === config.numLayers;
    const maskBias = builder.input("mask_bias", "float32", [batch, 1, 1, length]);
    let hidden: Value;
    let positionBias: Value;
    if (isFirst) {
      const table = s.at("shared").parameter("weight", [config.vocabSize, config.dModel]);
      hidden = gather(table, builder.input("ids", "int64", [batch, length]));
      builder.tap("hidden_0", hidden);
      positionBias = relativePositionBias(encoder.at("block.0.layer.0.SelfAttention"), length, config);
      builder.tap("position_bias", positionBias);
    } else {
      hidden = builder.input("hidden_before", "float32", [batch, length, config.dModel]);
      positionBias = builder.input("position_bias", "float32", [1, config.numHeads, length, length]);
    }
    const scoreBias = add(positionBias, maskBias);
    for (let i = range.from; i < range.to; i++) {
      const block = encoder.at("block").at(i);
      hidden = add(hidden, selfAttention(block.at("layer.0"), hidden, scoreBias, config));
      hidden = add(hidden, feedForward(block.at("layer.1"), hidden, config));
      builder.tap(`hidden_${i + 1}`, hidden);
    }
    if (isLast) hidden = affineRmsNorm(encoder.at("final_layer_norm"), hidden, config.epsilon);
    return isFirst && !isLast ? { hidden, position_bias: positionBias } : { hidden };
  });
}

function selfAttention(s: Scope, hidden: Value, scoreBias: Value, config: T5Config): Value {
  const normal = affineRmsNorm(s.at("layer_norm"), hidden, config.epsilon);
  const a = s.at("SelfAttention");
  const inner = config.numHeads * config.dKv;
  const project = (name: string) => linear(a.at(name), normal, inner, { bias: false });
  // T5 does not divide the scores by the root of the head size.
  const mixed = attention(project("q"), project("k"), project("v"), scoreBias, {
    heads: config.numHeads,
    scale: 1,
    queries: "tokens",
    keys: "tokens",
  });
  return linear(a.at("o"), mixed, config.dModel, { bias: false });
}

function feedForward(s: Scope, hidden: Value, config: T5Config): Value {
  const normal = affineRmsNorm(s.at("layer_norm"), hidden, config.epsilon);
  const d = s.at("DenseReluDense");
  const gate = silu(linear(d.at("wi_0"), normal, config.dFf, { bias: false }));
  const value = linear(d.at("wi_1"), normal, config.dFf, { bias: false });
  return linear(d.at("wo"), mul(gate, value), config.dModel, { bias: false });
}

/** Bias per head from the bucket of (key - query): [1,heads,L,L]. */
function relativePositionBias(s: Scope, length: number, config: T5Config): Value {
  const { numBuckets, numHeads, maxDistance } = config;
  const table = s.at("relative_attention_bias").parameter("weight", [numBuckets, numHeads]);
  const buckets = new BigInt64Array(length * length);
  for (let query = 0; query < length; query++) {
    for (let key = 0; key < length; key++) {
      buckets[query * length + key] = BigInt(relativeBucket(key - query, numBuckets, maxDistance));
    }
  }
  const rows = gather(table, s.builder.constant(tensor("int64", [length, length], buckets)));
  return reshape(transpose(rows, [2, 0, 1]), [1, numHeads, length, length]);
}

/** T5's bidirectional bucket of a relative position: exact near, logarithmic to `maxDistance`. */
export function relativeBucket(relative: number, numBuckets: number, maxDistance: number): number {
  const half = numBuckets / 2;
  const exact = half / 2;
  const base = relative > 0 ? half : 0;
  const distance = Math.abs(relative);
  if (distance < exact) return base + distance;
  const logarithmic = (Math.log(distance / exact) / Math.log(maxDistance / exact)) * (half - exact);
  return base + Math.min(half - 1, exact + Math.floor(logarithmic));
}

/** Every weight of the encoder with its full shape, by checkpoint key. */
export function t5Parameters(config: T5Config): ParameterShape[] {
  return parametersOf(t5Graph(config, 1, 1, { from: 0, to: config.numLayers }));
}
