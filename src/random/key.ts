import { KandinskyError, product } from "../base/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { exactCosSin, exactLog } from "./exact-math.ts";
import { threefry2x32, type Words } from "./threefry.ts";

/** A place in the tree of random streams. Using a key twice gives the same numbers twice: fold it first. */
export interface Key {
  readonly words: Words;
}

/**
 * The root key of a seed. Seeds are whole numbers taken modulo 2^64, so -1 and 2^64 - 1 are one seed.
 * Throws `option_invalid` for a fraction and for a number beyond 2^53, which must be given as a bigint.
 */
export function keyOf(seed: number | bigint): Key {
  const [low, high] = seedWords(seed);
  return { words: [high, low] };
}

/** Low and high word of a seed modulo 2^64; throws `option_invalid` as `keyOf` says. */
export function seedWords(seed: number | bigint): Words {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new KandinskyError("option_invalid", {
      what: "cannot use the seed",
      where: "seed",
      seen: String(seed),
      wanted: "a whole number of at most 53 bits, or a bigint",
    });
  }
  const bits = BigInt.asUintN(64, BigInt(seed));
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
}

/** An independent key for use number `n` (0 to 2^32 - 1) of `key`: an image index, a step, a purpose. */
export function foldIn(key: Key, n: number): Key {
  return { words: threefry2x32(key.words, [FOLD, n]) };
}

/**
 * Standard normal values, the same bits on every machine; a longer draw begins with the shorter one.
 * Box-Muller on 32-bit uniforms from a counter, so no value is beyond 6.77.
 */
export function normal(key: Key, shape: readonly number[]): Tensor<"float32"> {
  const values = new Float32Array(product(shape));
  for (let at = 0; at < values.length; at += 2) {
    const [a, b] = threefry2x32(key.words, [DRAW, at / 2]);
    const radius = Math.sqrt(-2 * exactLog((a + 0.5) * 2 ** -32));
    const [cos, sin] = exactCosSin(b * 2 ** -32);
    values[at] = radius * cos;
    if (at + 1 < values.length) values[at + 1] = radius * sin;
  }
  return float32(shape, values);
}

/** First counter word: keeps the numbers drawn from a key apart from the keys folded out of it. */
const DRAW = 0;
const FOLD = 1;
