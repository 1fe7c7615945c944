import { expect, test } from "vitest";
import { interpret } from "../interp/mod.ts";
import { movqDecoderGraph, movqEncoderGraph, movqParameters } from "../models/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { channelScales, foldLatents } from "./fold-latents.ts";
import { initialWeights } from "./initial.ts";

const config = {
  inChannels: 3,
  outChannels: 3,
  blockOutChannels: [32, 32],
  layersPerBlock: 1,
  latentChannels: 4,
  numVqEmbeddings: 8,
  vqEmbedDim: 4,
  normNumGroups: 4,
  attentionLevels: [false, true],
};
const image = float32(
  [2, 3, 8, 8],
  normal(keyOf(2), [2, 3, 8, 8]).data.map((x) => x / 3),
);

function encode(weights: ReadonlyMap<string, Tensor>): Tensor<"float32"> {
  const graph = movqEncoderGraph(config, { batch: 2, height: 8, width: 8 });
  const { shape, data } = interpret(graph, { image }, (name) => weights.get(name)!).get("latents")!;
  return float32(shape, Float32Array.from(data, Number));
}

function decode(weights: ReadonlyMap<string, Tensor>, latents: Tensor): number[] {
  const graph = movqDecoderGraph(config, { batch: 2, height: 4, width: 4 });
  const { data } = interpret(graph, { latents }, (name) => weights.get(name)!).get("image")!;
  return Array.from(data, Number);
}

test("foldLatents brings latents into [-1,1] and leaves the pictures", () => {
  const weights = initialWeights("movq", movqParameters(config), keyOf(1));
  const before = encode(weights);
  const scales = channelScales([before]);
  const folded = foldLatents(weights, scales);
  const after = encode(folded);
  expect(Math.max(...after.data.map(Math.abs))).toBeLessThan(1 + 1e-5);
  for (const { mean, scale } of channelScales([after])) {
    expect(Math.abs(mean)).toBeLessThan(1e-5);
    expect(scale).toBeCloseTo(1, 5);
  }
  const [one, other] = [decode(weights, before), decode(folded, after)];
  const worst = Math.max(...one.map((x, i) => Math.abs(x - other[i]!)));
  expect(worst).toBeLessThan(2e-5);
  expect(Math.max(...one.map(Math.abs))).toBeGreaterThan(0.01);
});
