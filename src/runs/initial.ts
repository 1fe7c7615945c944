import { product } from "../base/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import { foldIn, type Key, normal } from "../random/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";

interface Rule {
  readonly names: RegExp;
  readonly make: (shape: readonly number[], key: Key) => Tensor<"float32">;
}

/**
 * What fresh weights of a U-Net are, by name; the first that fits. Conditional norms begin as plain ones (BigGAN-deep
 * blocks of Kandinsky 3), and the last convolution with 0, so that the first prediction is 0 whatever the noise.
 */
const RULES: readonly Rule[] = [
  { names: /context_mlp\.\d+\.(weight|bias)$/, make: (shape) => filled(shape, 0) },
  { names: /^conv_out\.weight$/, make: (shape) => filled(shape, 0) },
  { names: /(bias|^null_embedding)$/, make: (shape) => filled(shape, 0) },
  { names: /norm\w*\.weight$/, make: (shape) => filled(shape, 1) },
  { names: /weight$/, make: scaled },
];

/** Fresh values of the parameters of a U-Net and its text projection; the same for the same key. */
export function initialUNet(parameters: readonly ParameterShape[], key: Key): Map<string, Tensor> {
  return new Map(
    parameters.map(({ name, shape }, i) => {
      const rule = RULES.find(({ names }) => names.test(name));
      if (rule === undefined) throw new RangeError(`no rule for the first value of ${name}`);
      return [name, rule.make(shape, foldIn(key, i))];
    }),
  );
}

function filled(shape: readonly number[], value: number): Tensor<"float32"> {
  return float32(shape, new Float32Array(product(shape)).fill(value));
}

/** Normal with the deviation of PyTorch's layers, 1/sqrt(3 fan-in). */
function scaled(shape: readonly number[], key: Key): Tensor<"float32"> {
  const deviation = 1 / Math.sqrt(3 * product(shape.slice(1)));
  const drawn = normal(key, shape);
  return float32(
    shape,
    drawn.data.map((x) => x * deviation),
  );
}
