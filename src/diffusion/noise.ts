import { foldIn, keyOf, normal, torchGenerator } from "../random/mod.ts";
import { concatRows } from "../tensor/mod.ts";
import type { Latent } from "./arithmetic.ts";
import type { StepNoise } from "./samplers/driver.ts";

/** All the noise of a batch: row k hangs on seed k alone, so a batch equals its pictures made one by one. */
export interface NoiseSource {
  /** N(0,1) to begin with, [pictures,C,H,W]. */
  readonly start: Latent;
  /** N(0,1) for a step of the ladder; steps may be left out, as after a resume, but not repeated. */
  readonly step: StepNoise;
}

type Seeds = readonly (number | bigint)[];

/**
 * Where noise can come from: `keyed` is the same on every machine, `torch` is what diffusers draws on the CPU with one
 * generator a picture (the latent first, then one noise a step). `shape` is that of one picture, [C,H,W].
 */
export const NOISE_SOURCES = {
  keyed: (seeds: Seeds, shape: readonly number[]): NoiseSource => {
    const keys = seeds.map(keyOf);
    const draw = (use: number) => concatRows(keys.map((key) => normal(foldIn(key, use), [1, ...shape])));
    return { start: draw(0), step: (index) => draw(1 + index) };
  },
  torch: (seeds: Seeds, shape: readonly number[]): NoiseSource => {
    const generators = seeds.map(torchGenerator);
    const draw = () => concatRows(generators.map((generator) => generator.normal([1, ...shape])));
    const start = draw();
    let next = 0;
    const step = (index: number) => {
      for (; next < index; next++) draw();
      next++;
      return draw();
    };
    return { start, step };
  },
} as const;

export type NoiseSourceName = keyof typeof NOISE_SOURCES;
