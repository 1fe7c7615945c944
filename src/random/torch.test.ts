import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readSafetensorsHeader, readTensor } from "../checkpoint/mod.ts";
import { mersenneTwister } from "./mersenne-twister.ts";
import { torchGenerator } from "./torch.ts";

interface Case {
  readonly tensor: string;
  readonly seed: number;
  readonly call: number;
  readonly shape: number[];
}

test("mersenneTwister gives the reference implementation's first and 10,000th word of seed 5489", () => {
  const next = mersenneTwister(5489);
  expect(next()).toBe(3499211612);
  for (let i = 2; i < 10000; i++) next();
  expect(next()).toBe(4123659995);
});

test("torchGenerator draws torch.randn call after call within 1e-6", async () => {
  const path = (name: string) => fileURLToPath(new URL(`../../../golden/${name}`, import.meta.url));
  const { cases } = JSON.parse(readFileSync(path("rng.json"), "utf8")) as { cases: Case[] };
  const { entries } = await readSafetensorsHeader(path("rng.safetensors"));
  expect(cases).toHaveLength(entries.size);
  let worst = 0;
  let place = "";
  for (const seed of new Set(cases.map((c) => c.seed))) {
    const generator = torchGenerator(seed);
    for (const { tensor, shape } of cases.filter((c) => c.seed === seed).sort((a, b) => a.call - b.call)) {
      const wanted = await readTensor(entries.get(tensor)!);
      const seen = generator.normal(shape);
      expect(seen.shape).toEqual(wanted.shape);
      for (const [i, value] of seen.data.entries()) {
        const difference = Math.abs(value - Number(wanted.data[i]));
        if (!(difference <= worst)) [worst, place] = [difference, `${tensor}[${i}]`];
      }
    }
  }
  expect(worst, `worst difference ${worst} at ${place}`).toBeLessThanOrEqual(1e-6);
});

test("torchGenerator keeps the low 32 bits of a seed, as PyTorch does", () => {
  expect(torchGenerator(2n ** 40n + 5n).normal([3])).toEqual(torchGenerator(5).normal([3]));
  expect(torchGenerator(6).normal([3])).not.toEqual(torchGenerator(5).normal([3]));
});
