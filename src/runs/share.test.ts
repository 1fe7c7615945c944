import { expect, test } from "vitest";
import type { Stage } from "./config.ts";
import { shareOf } from "./share.ts";

const stage = (batch: number, parts: number) => ({ name: "s", batch, parts }) as Stage;

test("shareOf: all processes together have every row once, in order, in parts that are no larger", () => {
  for (const [batch, parts, world] of [
    [12, 1, 4],
    [12, 3, 2],
    [16, 8, 2],
    [6, 6, 3],
    [8, 2, 1],
  ] as const) {
    const shares = Array.from({ length: world }, (_, rank) =>
      shareOf("diffusion", stage(batch, parts), { rank, world }),
    );
    const rows = shares.flatMap(({ first, rows }) => Array.from({ length: rows }, (_, i) => first + i));
    expect(rows).toEqual(Array.from({ length: batch }, (_, i) => i));
    for (const { rows, parts: own } of shares) {
      expect(rows % own).toBe(0);
      expect(rows / own).toBeLessThanOrEqual(batch / parts);
    }
  }
});

test("shareOf keeps the parts of text batches, and refuses what cannot be shared", () => {
  expect(shareOf("text-encoder", stage(8, 4), { rank: 1, world: 2 })).toEqual({
    first: 4,
    rows: 4,
    parts: 2,
  });
  expect(() => shareOf("text-encoder", stage(8, 1), { rank: 0, world: 2 })).toThrow(
    /stage s, parts.*seen 1 for 2 processes, wanted a multiple of 2/,
  );
  expect(() => shareOf("diffusion", stage(6, 1), { rank: 0, world: 4 })).toThrow(/stage s, batch.*seen 6/);
});
