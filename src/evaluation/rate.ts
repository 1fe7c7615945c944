import { drawsOf, foldIn, type Key } from "../random/mod.ts";

/** A share of hits with the 95 % interval in which the true one lies (Wilson, 1927). */
export interface Rate {
  readonly hits: number;
  readonly count: number;
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

const Z = 1.959964;

/** The rate of the hits among the verdicts that were given; 0 of 0 is a share of 0 between 0 and 1. */
export function rateOf(verdicts: readonly (boolean | undefined)[]): Rate {
  const given = verdicts.filter((verdict) => verdict !== undefined);
  const hits = given.filter((verdict) => verdict).length;
  const count = given.length;
  if (count === 0) return { hits, count, share: 0, low: 0, high: 1 };
  const share = hits / count;
  const middle = (share + Z ** 2 / (2 * count)) / (1 + Z ** 2 / count);
  const half =
    (Z / (1 + Z ** 2 / count)) * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  return { hits, count, share, low: Math.max(middle - half, 0), high: Math.min(middle + half, 1) };
}

/** The right code and others drawn by the key, `count` together, or all where there are fewer. */
export function amongOthers(key: Key, right: string, codes: readonly string[], count: number): string[] {
  const draws = drawsOf(foldIn(key, 0));
  const rest = codes.filter((code) => code !== right);
  for (let i = rest.length - 1; i > 0; i--) {
    const j = draws.whole(0, i);
    [rest[i], rest[j]] = [rest[j]!, rest[i]!];
  }
  return [right, ...rest.slice(0, count - 1)];
}
