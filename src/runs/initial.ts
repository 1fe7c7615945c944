import { product } from "../base/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import { foldIn, type Key, normal } from "../random/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";

/** Fresh values of parameters of some names. */
interface Rule {
  readonly names: RegExp;
  readonly make: (shape: readonly number[], key: Key) => Tensor<"float32">;
}

/**
 * What fresh weights of a U-Net are, by name; the first that fits. Conditional norms begin as plain ones (BigGAN-deep
 * blocks of Kandinsky 3), and the last convolution with 0, so that the first prediction is 0 whatever the noise.
 */
const UNET: readonly Rule[] = [
  { names: /context_mlp\.\d+\.(weight|bias)$/, make: (shape) => filled(shape, 0) },
  { names: /^conv_out\.weight$/, make: (shape) => filled(shape, 0) },
  { names: /(bias|^null_embedding)$/, make: (shape) => filled(shape, 0) },
  { names: /norm\w*\.weight$/, make: (shape) => filled(shape, 1) },
  { names: /weight$/, make: scaled(3) },
];

/**
 * Of a T5 encoder. Scores are not divided by the root of the head's size, so queries are that much smaller, for
 * heads of 64 (as in Mesh-TensorFlow's T5). What blocks add begins small: the encoder starts as the bag of pieces that it was
 * taught as before. A table of deviation 1 moves too slowly to learn words; places are seen from the start, as biases
 * that begin with 0 stay too small to tell first from second.
 */
const T5: readonly Rule[] = [
  { names: /^shared\.weight$/, make: deviating(0.2) },
  { names: /norm\.weight$/, make: (shape) => filled(shape, 1) },
  { names: /bias$/, make: (shape) => filled(shape, 0) },
  { names: /relative_attention_bias\.weight$/, make: deviating(1) },
  { names: /^heads\.[\w ]+\.look\.weight$/, make: (shape) => filled(shape, 0) },
  { names: /SelfAttention\.q\.weight$/, make: scaled(64) },
  { names: /(SelfAttention\.o|wo)\.weight$/, make: scaled(1000) },
  { names: /weight$/, make: scaled(1) },
];

/** Of a MoVQ. Spatial norms begin as plain ones, whatever the latents; codes where fresh latents lie. */
const MOVQ: readonly Rule[] = [
  { names: /^quantize\.embedding\.weight$/, make: deviating(0.3) },
  { names: /conv_y\.bias$/, make: (shape) => filled(shape, 1) },
  { names: /bias$/, make: (shape) => filled(shape, 0) },
  { names: /norm\w*\.weight$/, make: (shape) => filled(shape, 1) },
  { names: /weight$/, make: scaled(3) },
];

/** Of a classifier; what blocks add begins small, so that the first pictures go through. */
const CLASSIFIER: readonly Rule[] = [
  { names: /bias$/, make: (shape) => filled(shape, 0) },
  { names: /norm\w*\.weight$/, make: (shape) => filled(shape, 1) },
  { names: /conv2\.weight$/, make: scaled(10) },
  { names: /weight$/, make: scaled(1) },
];

/** Of a LoRA: as PyTorch's layers, and 0, so that it begins as the model that it is put on (Hu et al. 2021). */
const LORA: readonly Rule[] = [
  { names: /\.lora_A\.weight$/, make: scaled(3) },
  { names: /\.lora_B\.weight$/, make: (shape) => filled(shape, 0) },
];

const RULES = { unet: UNET, text_encoder: T5, movq: MOVQ, classifier: CLASSIFIER, lora: LORA } as const;

/** Fresh values of the parameters of a part of a model; the same for the same key. */
export function initialWeights(
  part: keyof typeof RULES,
  parameters: readonly ParameterShape[],
  key: Key,
): Map<string, Tensor> {
  return new Map(
    parameters.map(({ name, shape }, i) => {
      const rule = RULES[part].find(({ names }) => names.test(name));
      if (rule === undefined) throw new RangeError(`no rule for the first value of ${name}`);
      return [name, rule.make(shape, foldIn(key, i))];
    }),
  );
}

function filled(shape: readonly number[], value: number): Tensor<"float32"> {
  return float32(shape, new Float32Array(product(shape)).fill(value));
}

function deviating(deviation: number): Rule["make"] {
  return (shape, key) =>
    float32(
      shape,
      normal(key, shape).data.map((x) => x * deviation),
    );
}

/** Normal with the variance 1/(divisor fan-in); 3 is what PyTorch's layers have. */
function scaled(divisor: number): Rule["make"] {
  return (shape, key) => deviating(1 / Math.sqrt(divisor * product(shape.slice(1))))(shape, key);
}
