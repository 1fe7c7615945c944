import { KandinskyError } from "../base/mod.ts";
import { formatShape, type Tensor, tensor } from "../tensor/mod.ts";

/** A latent or what is predicted from one: [B,C,H,W], float32. */
export type Latent = Tensor<"float32">;

/** One summand of a linear combination. */
export type Term = readonly [coefficient: number, latent: Latent];

/**
 * The sum of the terms, added in float64 and rounded once: at t = 999 the signal is 5e-5 of the noise, and float32
 * sums would lose four digits. Throws `tensor_shape` where the terms differ in shape.
 */
export function combine(first: Term, ...rest: readonly Term[]): Latent {
  const shape = first[1].shape;
  const sum = new Float64Array(first[1].data.length);
  for (const [coefficient, { data, shape: seen }] of [first, ...rest]) {
    if (seen.join() !== shape.join()) {
      throw new KandinskyError("tensor_shape", {
        what: "cannot add latents",
        seen: formatShape(seen),
        wanted: formatShape(shape),
      });
    }
    for (let i = 0; i < sum.length; i++) sum[i]! += coefficient * data[i]!;
  }
  return tensor("float32", shape, new Float32Array(sum));
}

/** The samples of a batch (rows of the first axis), sharing its values. */
export function samplesOf(latent: Latent): Float32Array[] {
  const count = latent.shape[0] ?? 1;
  const size = latent.data.length / count;
  return Array.from({ length: count }, (_, i) => latent.data.subarray(i * size, (i + 1) * size));
}

/** Every sample rewritten on its own. */
export function perSample(
  latent: Latent,
  rewrite: (sample: Float32Array, index: number) => Float32Array,
): Latent {
  const data = new Float32Array(latent.data.length);
  let at = 0;
  for (const [index, sample] of samplesOf(latent).entries()) {
    data.set(rewrite(sample, index), at);
    at += sample.length;
  }
  return tensor("float32", latent.shape, data);
}
