import { product } from "../../base/mod.ts";
import {
  add,
  buildGraph,
  type Graph,
  type GraphBuilder,
  matmul,
  mul,
  type ParameterShape,
  parametersOf,
  reshape,
  silu,
  type Value,
} from "../../graph/mod.ts";
import { affineGroupNorm, channelsOf, conv, linear, NO_PADDING, Scope, unitRows } from "../../nn/mod.ts";
import { type ClassifierConfig, GROUPS } from "./config.ts";

const EPSILON = 1e-5;

/**
 * What a picture shows, as directions: input `image` [B,3,S,S] in [-1,1]; results `features` [B,F] of length 1, whose
 * products are the likeness of pictures, and `logits` [B,classes]. Both sides of the last product have length 1
 * (Wang et al. 2017, NormFace), so that likeness means the same for subjects that it was never taught.
 */
export function classifierGraph(config: ClassifierConfig, batch: number): Graph {
  return buildGraph((builder) => {
    const image = builder.input("image", "float32", [batch, 3, config.side, config.side]);
    const features = featuresOf(builder, config, image);
    const s = new Scope(builder, "classes");
    const classes = unitRows(s.parameter("weight", [config.classes.length, config.features]));
    return { features, logits: mul(matmul(features, classes, { transposeB: true }), SHARPNESS) };
  });
}

/** What cosines are multiplied by before their softmax: 1 would leave all shares nearly equal. */
const SHARPNESS = 20;

function featuresOf(builder: GraphBuilder, { widths, features }: ClassifierConfig, image: Value): Value {
  const s = new Scope(builder);
  let x = image;
  for (const [level, width] of widths.entries()) {
    const kernel = level === 0 ? 4 : 2;
    const down = { stride: kernel, padding: NO_PADDING };
    x = resBlock(s.at(`blocks.${level}`), conv(s.at(`downs.${level}`), x, width, kernel, down));
  }
  const mapped = silu(affineGroupNorm(s.at("norm"), x, GROUPS, EPSILON));
  const [batch, ...rest] = mapped.shape as [number, ...number[]];
  return unitRows(linear(s.at("features"), reshape(mapped, [batch, product(rest)]), features));
}

function resBlock(s: Scope, x: Value): Value {
  const half = (part: string, y: Value) => {
    const activated = silu(affineGroupNorm(s.at(`norm${part}`), y, GROUPS, EPSILON));
    return conv(s.at(`conv${part}`), activated, channelsOf(x), 3);
  };
  return add(x, half("2", half("1", x)));
}

/** Every weight with its full shape, by checkpoint key. */
export function classifierParameters(config: ClassifierConfig): ParameterShape[] {
  return parametersOf(classifierGraph(config, 1));
}
