import {
  add,
  argmin,
  buildGraph,
  detach,
  embed,
  type Graph,
  type GraphBuilder,
  matmul,
  mul,
  type ParameterShape,
  parametersOf,
  reachable,
  reshape,
  slice,
  softmax,
  transpose,
  type Value,
} from "../graph/mod.ts";
import { type T5Config, t5Graph, t5Parameters } from "../models/mod.ts";
import { linear, Scope, unitRows } from "../nn/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { crossEntropy, mean } from "../train/mod.ts";

/** What a head tells of a caption, with the number of its classes. */
export interface Head {
  readonly name: string;
  readonly classes: number;
}

export interface TextShape {
  /** Captions: the first half, then the second, row for row of the same scenes in another language. */
  readonly batch: number;
  readonly length: number;
  /** Blocks of the encoder that run; the others have no derivative. */
  readonly blocks: number;
}

/** Weight of the contrastive term, and what similarities are divided by. */
export interface Contrast {
  readonly weight: number;
  readonly temperature: number;
}

/** Everything of the heads is named so, and is left out of the exported encoder. */
export const HEADS = "heads";

/** Width of the space in which captions of one scene are pulled together. */
const CONTRAST_WIDTH = 128;

/**
 * What a text encoder is trained on. Inputs: `ids` [B,L] int64, `mask_bias` [B,1,1,L], `pool_weights` [B,1,L], which
 * average over a caption's tokens, and `classes` [B,heads], the right class of each head. Results: `loss` [], the heads'
 * cross entropies plus the contrastive term (InfoNCE both ways, van den Oord et al. 2018), and `guess/NAME` [B] int64.
 * A head reads the tokens that it looks at, as the U-Net will: so the encoder has to mark which subject is which on the
 * tokens themselves. From an average it learnt the words and never their order.
 */
export function textEncoderGraph(
  config: T5Config,
  heads: readonly Head[],
  { batch, length, blocks }: TextShape,
  contrast: Contrast,
): Graph {
  return buildGraph((builder) => {
    const encoder = t5Graph({ ...config, numLayers: blocks }, batch, length, { from: 0, to: blocks });
    const { hidden } = embed(builder, encoder);
    const weights = builder.input("pool_weights", "float32", [batch, 1, length]);
    const mask = reshape(builder.input("mask_bias", "float32", [batch, 1, 1, length]), [batch, 1, length]);
    const read = (part: Value) => reshape(matmul(part, hidden!), [batch, config.dModel]);
    const classes = builder.input("classes", "float32", [batch, heads.length]);
    const s = new Scope(builder, HEADS);
    const results: Record<string, Value> = {};
    const terms = heads.map(({ name, classes: count }, i) => {
      const scores = transpose(linear(s.at(`${name}.look`), hidden!, 1, { bias: false }), [0, 2, 1]);
      const logits = linear(s.at(name), read(softmax(add(scores, mask))), count);
      results[`guess/${name}`] = argmin(mul(logits, -1));
      return crossEntropy(logits, slice(classes, 1, i, i + 1));
    });
    const together = mul(contrastOf(s.at("contrast"), read(weights), contrast.temperature), contrast.weight);
    const loss = [...terms, together, unreadOf(builder, config, encoder)].reduce((sum, term) =>
      add(sum, term),
    );
    return { loss, ...results };
  });
}

/** Every parameter that is trained, heads too. */
export function textEncoderParameters(config: T5Config, heads: readonly Head[]): ParameterShape[] {
  const shape = { batch: 2, length: 1, blocks: config.numLayers };
  const known = new Set(t5Parameters(config).map(({ name }) => name));
  const all = parametersOf(textEncoderGraph(config, heads, shape, { weight: 1, temperature: 1 }));
  return [...t5Parameters(config), ...all.filter(({ name }) => !known.has(name))];
}

/** How far captions of one scene are from being each other's nearest, among all scenes of the batch. */
function contrastOf(s: Scope, pooled: Value, temperature: number): Value {
  const projected = linear(s, pooled, CONTRAST_WIDTH, { bias: false });
  const [batch] = projected.shape as [number, number];
  const half = batch / 2;
  const unit = unitRows(projected);
  const [one, other] = [slice(unit, 0, 0, half), slice(unit, 0, half, batch)];
  const similar = mul(matmul(one, other, { transposeB: true }), 1 / temperature);
  const rows = s.builder.constant(
    float32(
      [half, 1],
      Array.from({ length: half }, (_, i) => i),
    ),
  );
  return mul(add(crossEntropy(similar, rows), crossEntropy(transpose(similar, [1, 0]), rows)), 0.5);
}

/** 0, and a reading of each parameter that the shorter encoder has not, so that its derivative is 0. */
function unreadOf(builder: GraphBuilder, config: T5Config, encoder: Graph): Value {
  const used = reachable(encoder, [encoder.outputs.get("hidden")!]);
  const read = new Set(
    encoder.nodes.flatMap((node, id) =>
      node.op === "parameter" && used.has(id) ? [node.attributes.name] : [],
    ),
  );
  const unread = t5Parameters(config).filter(({ name }) => !read.has(name));
  return unread
    .map(({ name, shape }) => mul(mean(detach(builder.parameter(name, shape))), 0))
    .reduce((sum, term) => add(sum, term), builder.constant(float32([], [0])));
}
