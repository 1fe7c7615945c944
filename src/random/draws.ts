import { exactCosSin, exactLog } from "./exact-math.ts";
import type { Key } from "./key.ts";
import { threefry2x32 } from "./threefry.ts";

/** Numbers drawn one after the other, for things made of a number of draws that is itself drawn. */
export interface Draws {
  /** Uniform in [low, high), 53 bits. */
  uniform(low: number, high: number): number;
  /** A whole number from `first` to `last`, both included; `first` where `last` is smaller. */
  whole(first: number, last: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  normal(mean: number, deviation: number): number;
  /** One of the items, with probabilities in proportion to `weightOf`; equal ones without. Needs one item. */
  pick<T>(items: readonly T[], weightOf?: (item: T) => number): T;
}

/**
 * The draws of a key, the same on every machine. They have a state, so they belong to one small thing (one mask,
 * one shuffle): give every such thing a key of its own by `foldIn`, and what is drawn before it does not matter.
 */
export function drawsOf(key: Key): Draws {
  let at = 0;
  const next = () => {
    const [high, low] = threefry2x32(key.words, [WALK, at++]);
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) * 2 ** -53;
  };
  return {
    uniform: (low, high) => low + next() * (high - low),
    whole: (first, last) => first + Math.floor(next() * Math.max(last - first + 1, 1)),
    chance: (probability) => next() < probability,
    normal(mean, deviation) {
      const radius = Math.sqrt(-2 * exactLog(1 - next()));
      return mean + deviation * radius * exactCosSin(next())[0];
    },
    pick(items, weightOf = () => 1) {
      let rest = next() * items.reduce((sum, item) => sum + weightOf(item), 0);
      const found = items.find((item) => {
        rest -= weightOf(item);
        return rest < 0;
      });
      return found ?? items.at(-1)!;
    },
  };
}

/** First counter word; 0 and 1 are taken by `normal` and `foldIn`. */
const WALK = 2;
