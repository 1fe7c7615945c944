import { expect, test } from "vitest";
import { torchGenerator } from "../random/mod.ts";
import { concatRows, row } from "../tensor/mod.ts";
import { NOISE_SOURCES, type NoiseSourceName } from "./noise.ts";

const SHAPE = [4, 3, 5];

for (const name of Object.keys(NOISE_SOURCES) as NoiseSourceName[]) {
  const source = NOISE_SOURCES[name];

  test(`NOISE_SOURCES.${name} gives a batch the noise of its pictures`, () => {
    const batch = source([0, 7], SHAPE);
    const singles = [source([0], SHAPE), source([7], SHAPE)];
    expect(batch.start).toEqual(concatRows(singles.map((single) => single.start)));
    for (const step of [0, 1]) {
      expect(batch.step(step)).toEqual(concatRows(singles.map((single) => single.step(step))));
    }
  });

  test(`NOISE_SOURCES.${name} gives a resumed run the noise of a whole one`, () => {
    const whole = source([3], SHAPE);
    const draws = [0, 1, 2, 3].map(whole.step);
    const resumed = source([3], SHAPE);
    expect([2, 3].map(resumed.step)).toEqual(draws.slice(2));
    const all = [whole.start, ...draws].map((draw) => draw.data.join());
    expect(new Set(all).size).toBe(5);
  });
}

test("NOISE_SOURCES.torch draws as one generator a picture, the latent first", () => {
  const { start, step } = NOISE_SOURCES.torch([42, 1], SHAPE);
  const generator = torchGenerator(42);
  expect(row(start, 0)).toEqual(generator.normal([1, ...SHAPE]));
  expect(row(step(0), 0)).toEqual(generator.normal([1, ...SHAPE]));
});
