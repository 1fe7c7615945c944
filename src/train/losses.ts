import { product } from "../base/mod.ts";
import {
  abs,
  add,
  detach,
  logSoftmax,
  maximum,
  mul,
  reduceSum,
  reshape,
  sub,
  type Value,
} from "../graph/mod.ts";
import { float32 } from "../tensor/mod.ts";

/** The mean of all values, [] . */
export function mean(x: Value): Value {
  const size = product(x.shape);
  return mul(reduceSum(reshape(x, [size]), 0), 1 / size);
}

/** The mean of each row's values: [B,...] to [B]. */
export function meanOfRows(x: Value): Value {
  const [rows, ...rest] = x.shape as [number, ...number[]];
  const size = product(rest);
  return mul(reduceSum(reshape(x, [rows, size]), 1), 1 / size);
}

/** Squared differences. */
export function squared(a: Value, b: Value): Value {
  const difference = sub(a, b);
  return mul(difference, difference);
}

/** The mean of absolute differences. */
export function meanAbsolute(a: Value, b: Value): Value {
  return mean(abs(sub(a, b)));
}

/**
 * How a vector-quantised autoencoder pulls latents and codes together: `codebook` times the codes to the latents
 * plus `commitment` times the latents to the codes. The reference's order is the legacy one, which weighs the
 * codes' part by `beta` where the paper (van den Oord et al. 2017) weighs the latents'.
 */
export const VQ_WEIGHTS = {
  legacy: (beta: number) => ({ codebook: beta, commitment: 1 }),
  fixed: (beta: number) => ({ codebook: 1, commitment: beta }),
} as const;

/** The loss of latents and their nearest codes, of one shape. */
export function vqLoss(
  latents: Value,
  codes: Value,
  { codebook, commitment }: { readonly codebook: number; readonly commitment: number },
): Value {
  const toLatents = mean(squared(codes, detach(latents)));
  const toCodes = mean(squared(detach(codes), latents));
  return add(mul(toLatents, codebook), mul(toCodes, commitment));
}

/** The codes, with the derivative of the latents (Bengio et al. 2013). */
export function straightThrough(latents: Value, codes: Value): Value {
  return add(latents, detach(sub(codes, latents)));
}

/** The mean of the negative logarithm of the right class's share: logits [B,C], classes [B,1] as numbers. */
export function crossEntropy(logits: Value, classes: Value): Value {
  const [batch, count] = logits.shape as [number, number];
  const numbers = logits.builder.constant(
    float32(
      [1, count],
      Array.from({ length: count }, (_, i) => i),
    ),
  );
  const chosen = maximum(add(mul(abs(sub(classes, numbers)), -1), 1), 0);
  return mul(reduceSum(reshape(mul(logSoftmax(logits), chosen), [batch * count]), 0), -1 / batch);
}
