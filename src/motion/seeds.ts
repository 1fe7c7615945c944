import { foldIn, keyOf } from "../random/mod.ts";

/** How the seed goes on from one drawn frame to the next. */
export type SeedBehavior = keyof typeof SEEDS;

const SEEDS = {
  iter: (first, index) => first + index,
  fixed: (first) => first,
  random: (first, index) => (index === 0 ? first : foldIn(keyOf(first), index).words[0]),
  /** Two up, one down. */
  ladder: (first, index) => first + Math.floor(index / 2) + (index % 2) * 2,
  alternate: (first, index) => first + (index % 2),
} as const satisfies Record<string, (first: number, index: number) => number>;

export const SEED_BEHAVIORS = Object.keys(SEEDS) as readonly SeedBehavior[];

/** The seed of drawn frame `index`, from 0. */
export function seedOf(behavior: SeedBehavior, first: number, index: number): number {
  return SEEDS[behavior](first, index);
}
