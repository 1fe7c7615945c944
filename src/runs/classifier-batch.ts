import { argmin, buildGraph, embed, type Graph, mul } from "../graph/mod.ts";
import { type ClassifierConfig, classifierGraph } from "../models/mod.ts";
import { drawsOf, foldIn, type Key, normal } from "../random/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { crossEntropy } from "../train/mod.ts";

/**
 * What a classifier is trained on. Inputs: `image` [B,3,S,S] in [-1,1] and `classes` [B,1], the numbers of the right
 * classes. Results: `loss` [], the cross entropy, `guess` [B] int64 and `features` [B,F].
 */
export function classifierLossGraph(config: ClassifierConfig, batch: number): Graph {
  return buildGraph((builder) => {
    const image = builder.input("image", "float32", [batch, 3, config.side, config.side]);
    const { features, logits } = embed(builder, classifierGraph(config, batch), { image });
    const classes = builder.input("classes", "float32", [batch, 1]);
    return {
      loss: crossEntropy(logits!, classes),
      guess: argmin(mul(logits!, -1)),
      features: features!,
    };
  });
}

/** How far a channel's contrast and brightness may be off, and the most that patches are, each of [-1,1]. */
const WORN = { contrast: 0.2, brightness: 0.15, patches: 0.2 } as const;

/** Side of the grid of patches whose colours are off. */
const PATCHES = 16;

/**
 * The images as a weak model might paint them: contrast and brightness of each channel are off, and so is the colour of
 * patches, in some more than in others.
 */
export function wornImages(images: Tensor<"float32">, key: Key): Tensor<"float32"> {
  const [batch, channels, side] = images.shape as [number, number, number, number];
  const data = Float32Array.from(images.data);
  const patch = Math.ceil(side / PATCHES);
  for (let i = 0; i < batch; i++) {
    const own = foldIn(key, i);
    const draws = drawsOf(foldIn(own, 0));
    const noise = normal(foldIn(own, 1), [channels, PATCHES, PATCHES]).data;
    const strength = draws.uniform(0, WORN.patches);
    for (let c = 0; c < channels; c++) {
      const scale = 1 + draws.uniform(-WORN.contrast, WORN.contrast);
      const shift = draws.uniform(-WORN.brightness, WORN.brightness);
      for (let y = 0; y < side; y++) {
        const row = (c * PATCHES + Math.floor(y / patch)) * PATCHES;
        const from = ((i * channels + c) * side + y) * side;
        for (let x = 0; x < side; x++) {
          const off = strength * noise[row + Math.floor(x / patch)]!;
          data[from + x] = scale * data[from + x]! + shift + off;
        }
      }
    }
  }
  return float32(images.shape, data);
}
