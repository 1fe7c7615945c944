import { expect, test } from "vitest";
import { float32 } from "../tensor/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { encoderInputs, finishContext, MAX_TOKENS, planText, projectionInput, unetMasks } from "./text.ts";

const LOWEST = -3.4028234663852886e38;

/** A token a word, numbered by its first letter (a = 10), and the end token 1. */
const words: Tokenizer = {
  vocabularySize: 40,
  encode(text, maxLength) {
    const ids = text.split(" ").flatMap((word) => (word === "" ? [] : [word.charCodeAt(0) - 97 + 10]));
    return {
      ids: [...ids.slice(0, maxLength - 1), 1],
      fullLength: ids.length + 1,
      unknown: [],
      characters: text.length,
    };
  },
};

const ids = (letters: string) => [...letters].map((letter) => letter.charCodeAt(0) - 97 + 10);
const picture = (prompt: string, negative?: string) => ({ prompt, negative });
const plain = { profile: "diffusers", guided: true, joint: false } as const;

test("planText: a context keeps one padded row after its last token", () => {
  const plan = planText(words, [picture("a b c")], plain);
  expect(plan.rows).toEqual([{ ids: [...ids("abc"), 1], attended: 4 }]);
  expect(plan.conditional).toEqual([{ row: 0, length: 5, attended: 4 }]);
  expect(plan.unconditional).toEqual([{ row: undefined, length: 5, attended: 0 }]);
  expect(plan.paddedLength).toBe(32);
});

test.each([
  [126, 128],
  [127, 128],
  [200, 128],
])(
  "planText: a prompt of %i words has a context of %i rows, the last of them padding only below 128 tokens",
  (count, length) => {
    const plan = planText(words, [picture(new Array(count).fill("w").join(" "))], plain);
    const tokens = Math.min(count + 1, MAX_TOKENS);
    expect(plan.conditional).toEqual([{ row: 0, length, attended: tokens }]);
    expect(plan.paddedLength).toBe(128);
  },
);

test.each([
  [30, 32],
  [31, 64],
  [94, 96],
  [95, 128],
])("planText pads %i words, with their end and their padded row, to %i rows", (count, padded) => {
  const prompt = new Array(count).fill("w").join(" ");
  expect(planText(words, [picture(prompt)], plain).paddedLength).toBe(padded);
});

test("planText without guidance has no unconditional half", () => {
  const plan = planText(words, [picture("a", "b")], { ...plain, guided: false });
  expect([plan.rows.length, plan.unconditional]).toEqual([1, []]);
});

test("planText encodes equal texts once", () => {
  const pictures = [picture("a b", "x"), picture("a b", "x"), picture("a b", "a b")];
  const plan = planText(words, pictures, plain);
  expect(plan.rows.map((row) => row.ids)).toEqual([
    [...ids("ab"), 1],
    [...ids("x"), 1],
  ]);
  expect(plan.conditional.map(({ row }) => row)).toEqual([0, 0, 0]);
  expect(plan.unconditional.map(({ row }) => row)).toEqual([1, 1, 0]);
});

test("planText of each gives every prompt its own length, of all together the longest's", () => {
  const pictures = [picture("a"), picture("a b c d")];
  const lengths = (joint: boolean) => {
    const plan = planText(words, pictures, { ...plain, joint });
    expect(plan.unconditional.map(({ length }) => length)).toEqual(
      plan.conditional.map(({ length }) => length),
    );
    return plan.conditional.map(({ length, attended }) => [length, attended]);
  };
  expect(lengths(false)).toEqual([
    [3, 2],
    [6, 5],
  ]);
  expect(lengths(true)).toEqual([
    [6, 2],
    [6, 5],
  ]);
});

test("planText as diffusers: a negative text is encoded alone and its context cut to the positive's length", () => {
  const half = (negative: string) => {
    const plan = planText(words, [picture("a b c", negative)], plain);
    const [one] = plan.unconditional;
    return { ids: plan.rows[one!.row!]!.ids, encoded: plan.rows[one!.row!]!.attended, ...one, row: 0 };
  };
  expect(half("x")).toEqual({ ids: [...ids("x"), 1], encoded: 2, row: 0, length: 5, attended: 2 });
  const long = [...ids("uvwxyz"), 1];
  expect(half("u v w x y z")).toEqual({ ids: long, encoded: 7, row: 0, length: 5, attended: 5 });
});

test("planText as the original: a negative text is cut, ended, and takes the positive's mask", () => {
  const half = (negative: string) => {
    const plan = planText(words, [picture("a b c", negative)], { ...plain, profile: "native" });
    const [one] = plan.unconditional;
    return { ids: plan.rows[one!.row!]!.ids, encoded: plan.rows[one!.row!]!.attended, ...one, row: 0 };
  };
  // The padding after a shorter one is attended.
  expect(half("x")).toEqual({ ids: [...ids("x"), 1], encoded: 4, row: 0, length: 5, attended: 4 });
  const cut = [...ids("uvw"), 1];
  expect(half("u v w x y z")).toEqual({ ids: cut, encoded: 4, row: 0, length: 5, attended: 4 });
});

test("planText: a long negative text of diffusers makes all rows longer, of the original not", () => {
  const negative = new Array(60).fill("n").join(" ");
  const padded = (profile: "diffusers" | "native") =>
    planText(words, [picture("a", negative)], { ...plain, profile }).paddedLength;
  expect([padded("diffusers"), padded("native")]).toEqual([64, 32]);
});

test("encoderInputs pads ids with zeros and hides what is not attended", () => {
  const plan = planText(words, [picture("a b c", "x")], { ...plain, profile: "native" });
  const inputs = encoderInputs(plan);
  expect([inputs.ids.shape, inputs.maskBias.shape]).toEqual([
    [2, 32],
    [2, 1, 1, 32],
  ]);
  const row = (i: number, data: ArrayLike<number | bigint>) =>
    Array.from(data, Number).slice(32 * i, 32 * i + 6);
  expect([row(0, inputs.ids.data), row(1, inputs.ids.data)]).toEqual([
    [...ids("abc"), 1, 0, 0],
    [...ids("x"), 1, 0, 0, 0, 0],
  ]);
  // Four tokens each: the negative one has the positive's mask.
  const hidden = [0, 0, 0, 0, LOWEST, LOWEST];
  expect([row(0, inputs.maskBias.data), row(1, inputs.maskBias.data)]).toEqual([hidden, hidden]);
});

const HALVES = [
  { row: 0, length: 3, attended: 2 },
  { row: undefined, length: 4, attended: 0 },
];

test("unetMasks as diffusers: -10000 on padding, which no text makes of every row", () => {
  const { maskBias, poolWeights } = unetMasks(HALVES, 5, "diffusers");
  expect(maskBias.shape).toEqual([2, 1, 1, 5]);
  expect([...maskBias.data]).toEqual([
    ...[0, 0, -10000, LOWEST, LOWEST],
    ...[-10000, -10000, -10000, -10000, LOWEST],
  ]);
  expect(poolWeights).toEqual(float32([2, 1, 5], [1 / 3, 1 / 3, 1 / 3, 0, 0, 0.25, 0.25, 0.25, 0.25, 0]));
});

test("unetMasks as the original: padding is hidden altogether, no text is one row", () => {
  const { maskBias } = unetMasks(HALVES, 5, "native");
  expect([...maskBias.data]).toEqual([
    ...[0, 0, LOWEST, LOWEST, LOWEST],
    ...[0, LOWEST, LOWEST, LOWEST, LOWEST],
  ]);
});

/** Two rows of encoder states [2,3,2]. */
const HIDDEN = float32([2, 3, 2], [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
const ROWS = [
  { ids: [5, 1], attended: 2 },
  { ids: [1], attended: 1 },
];
const USES = [
  { row: 1, length: 3, attended: 1 },
  { row: 0, length: 3, attended: 2 },
  { row: undefined, length: 3, attended: 0 },
];

test("projectionInput gives each half its row; diffusers sets padding to zero, no text is zero", () => {
  const none = [0, 0, 0, 0, 0, 0];
  expect(projectionInput(HIDDEN, USES, ROWS, "diffusers")).toEqual(
    float32([3, 3, 2], [11, 12, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, ...none]),
  );
  expect(projectionInput(HIDDEN, USES, ROWS, "native")).toEqual(
    float32([3, 3, 2], [11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5, 6, ...none]),
  );
});

test("finishContext as the original: zeros after the text, the null embedding where there is none", () => {
  const projected = float32([3, 3, 2], new Float32Array(18).fill(7));
  const context = finishContext(projected, USES, "native", Float32Array.of(8, 9));
  expect([...context.data]).toEqual([...[7, 7, 0, 0, 0, 0], ...[7, 7, 7, 7, 0, 0], ...[8, 9, 0, 0, 0, 0]]);
  expect([...projected.data]).toEqual(new Array(18).fill(7));
});

test("finishContext as diffusers leaves the projection as it is", () => {
  const projected = float32([3, 3, 2], new Float32Array(18).fill(7));
  expect(finishContext(projected, USES, "diffusers", undefined)).toBe(projected);
});
