import { expect, test } from "vitest";
import { type BudgetItem, chooseWithin } from "./mod.ts";

type Size = "small" | "middle" | "large";

function item(name: string, bytes: readonly number[], errors: readonly number[]): BudgetItem<Size> {
  const names: readonly Size[] = ["small", "middle", "large"];
  return { name, choices: names.map((choice, i) => ({ choice, bytes: bytes[i]!, error: errors[i]! })) };
}

const ITEMS = [
  item("harmed", [10, 20, 40], [8, 1, 0]),
  item("cheap", [1, 2, 4], [2, 1, 0]),
  item("robust", [10, 20, 40], [0.2, 0.1, 0]),
];

test.each([
  [0, ["small", "small", "small"]],
  [21, ["small", "small", "small"]],
  // The cheapest gain a byte comes first, then what fits.
  [22, ["small", "middle", "small"]],
  [24, ["small", "large", "small"]],
  [32, ["middle", "middle", "small"]],
  [84, ["large", "large", "large"]],
] as const)("chooseWithin %i bytes", (bytes, wanted) => {
  const chosen = chooseWithin(ITEMS, bytes);
  expect(ITEMS.map(({ name }) => chosen.get(name))).toEqual(wanted);
});

test("chooseWithin never exceeds the bytes, and more bytes never mean more error", () => {
  let before = Number.POSITIVE_INFINITY;
  for (let bytes = 21; bytes <= 90; bytes++) {
    const chosen = chooseWithin(ITEMS, bytes);
    const taken = ITEMS.map(
      ({ name, choices }) => choices.find(({ choice }) => choice === chosen.get(name))!,
    );
    expect(taken.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThanOrEqual(bytes);
    const error = taken.reduce((sum, one) => sum + one.error, 0);
    before = Math.min(before, error);
    expect(error - before, `error with ${bytes} bytes`).toBeLessThanOrEqual(1);
  }
  expect(before).toBe(0);
});
