import { product } from "../base/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { exactCosSin, exactLog } from "./exact-math.ts";
import { seedWords } from "./key.ts";
import { mersenneTwister } from "./mersenne-twister.ts";

const BLOCK = 16;
const TWO_PI = Math.fround(2 * Math.PI);

/** Draws in order, as a generator with a state does. */
export interface SequentialGenerator {
  /** The next standard normal values of this generator. */
  normal(shape: readonly number[]): Tensor<"float32">;
}

/**
 * The noise of `torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))` in float32, call after call,
 * within 1e-6 (PyTorch's own bits depend on the vector unit). Only the low 32 bits of a seed count, as there.
 * Throws `option_invalid` for a seed that is not whole.
 */
export function torchGenerator(seed: number | bigint): SequentialGenerator {
  const next = mersenneTwister(seedWords(seed)[0]);
  let spare: number | undefined;

  const uniform24 = () => (next() & 0xffffff) * 2 ** -24;
  const uniform53 = () => {
    const high = next();
    const low = next();
    return ((high & 0x1fffff) * 2 ** 32 + low) * 2 ** -53;
  };

  /** Fewer than 16 values: double precision, two at a time, the second kept for later, across calls too. */
  const single = () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const [cos, sin] = exactCosSin(uniform53());
    const radius = Math.sqrt(-2 * exactLog(1 - uniform53()));
    spare = radius * sin;
    return radius * cos;
  };

  /** 16 or more: uniforms first, then blocks of 8 radii and 8 angles in float32; a last partial block is redrawn. */
  const blocks = (values: Float32Array) => {
    for (let i = 0; i < values.length; i++) values[i] = uniform24();
    const whole = values.length - (values.length % BLOCK);
    for (let at = 0; at < whole; at += BLOCK) boxMuller(values.subarray(at, at + BLOCK));
    if (whole === values.length) return;
    const tail = values.subarray(values.length - BLOCK);
    for (let i = 0; i < BLOCK; i++) tail[i] = uniform24();
    boxMuller(tail);
  };

  return {
    normal(shape) {
      const values = new Float32Array(product(shape));
      if (values.length >= BLOCK) blocks(values);
      else for (let i = 0; i < values.length; i++) values[i] = single();
      return float32(shape, values);
    },
  };
}

function boxMuller(block: Float32Array): void {
  for (let i = 0; i < BLOCK / 2; i++) {
    const angle = block[i + BLOCK / 2]!;
    const radius = Math.fround(Math.sqrt(Math.fround(-2 * exactLog(1 - block[i]!))));
    // Angles are float32 radians there, from a float32 2 pi: exact ones would move values by up to 1.4e-6.
    const [cos, sin] = exactCosSin(Math.fround(TWO_PI * angle) / (2 * Math.PI));
    block[i] = radius * cos;
    block[i + BLOCK / 2] = radius * sin;
  }
}
