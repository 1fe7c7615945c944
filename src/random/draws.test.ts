import { expect, test } from "vitest";
import { drawsOf } from "./draws.ts";
import { foldIn, keyOf } from "./key.ts";

const COUNT = 100_000;
/** Five standard errors. */
const within = (deviation: number) => (5 * deviation) / Math.sqrt(COUNT);
const times = (draw: () => number) => Array.from({ length: COUNT }, draw);
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

test("drawsOf.uniform covers its range evenly", () => {
  const draws = drawsOf(keyOf(1));
  const values = times(() => draws.uniform(-2, 6));
  expect(Math.min(...values.slice(0, 1000))).toBeGreaterThanOrEqual(-2);
  expect(Math.max(...values.slice(0, 1000))).toBeLessThan(6);
  const tenths = new Array<number>(10).fill(0);
  for (const x of values) tenths[Math.floor((x + 2) / 0.8)]!++;
  const worst = Math.max(...tenths.map((n) => Math.abs(n / COUNT - 0.1)));
  expect(worst, `worst tenth is off by ${worst}`).toBeLessThan(within(Math.sqrt(0.09)));
});

test("drawsOf.whole gives both ends and all between equally often", () => {
  const draws = drawsOf(keyOf(2));
  const counts = new Map<number, number>();
  for (const n of times(() => draws.whole(3, 7))) counts.set(n, (counts.get(n) ?? 0) + 1);
  expect([...counts.keys()].sort()).toEqual([3, 4, 5, 6, 7]);
  const worst = Math.max(...[...counts.values()].map((n) => Math.abs(n / COUNT - 0.2)));
  expect(worst).toBeLessThan(within(0.4));
  expect([draws.whole(4, 4), draws.whole(4, 2)]).toEqual([4, 4]);
});

test("drawsOf.normal has its mean and deviation; chance and pick their frequencies", () => {
  const draws = drawsOf(keyOf(3));
  const values = times(() => draws.normal(5, 2));
  expect(Math.abs(mean(values) - 5)).toBeLessThan(within(2));
  expect(Math.abs(mean(values.map((x) => (x - 5) ** 2)) - 4)).toBeLessThan(within(4 * Math.SQRT2));
  expect(Math.abs(mean(times(() => Number(draws.chance(0.3)))) - 0.3)).toBeLessThan(within(0.46));
  const picked = times(() => draws.pick([1, 2, 7], (item) => item));
  for (const item of [1, 2, 7]) {
    const share = picked.filter((one) => one === item).length / COUNT;
    expect(Math.abs(share - item / 10), `item ${item}`).toBeLessThan(within(0.5));
  }
  expect(draws.pick([0, 1], (item) => item)).toBe(1);
});

test("drawsOf repeats itself for a key and not for another", () => {
  const some = (n: number) => {
    const draws = drawsOf(foldIn(keyOf(4), n));
    return [draws.uniform(0, 1), draws.normal(0, 1), draws.whole(0, 1e9)];
  };
  expect(some(0)).toEqual(some(0));
  expect(some(0)).not.toEqual(some(1));
});
