import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { handmadeModel } from "./handmade.test-support.ts";
import { tokenizerConfig, tokenizerFromSpiece } from "./mod.ts";

const config = tokenizerConfig({ config: { extra_ids: 2 } });

/** Ids that sentencepiece 0.2.3 gives for `handmadeModel()`, without the end token. */
const SENTENCEPIECE: readonly (readonly [string, readonly number[]])[] = [
  ["abc", [3, 4, 8]],
  ["aa", [3, 4, 4]],
  ["cab ca", [3, 11, 5, 3, 11]],
  ["  ж жж éñ a", [13, 13, 2, 3, 2, 3, 4]],
  ["bcaabca", [3, 5, 11, 7, 11]],
  ["[ b a  [ b", [3, 2, 3, 5, 3, 4, 3, 2, 3, 5]],
  // The two ways to write "ab" differ only by the float32 rounding of their sums.
  ["c[ bcaa  ▁[ bé aab[ b[ж", [3, 6, 2, 3, 5, 11, 4, 3, 3, 2, 3, 5, 2, 3, 4, 7, 2, 3, 5, 2]],
];

test.each(SENTENCEPIECE)("tokenizerFromSpiece cuts %j as sentencepiece does", (text, ids) => {
  const tokenizer = tokenizerFromSpiece(handmadeModel(), config);
  expect(tokenizer.encode(text, 100).ids).toEqual([...ids, 1]);
});

test("tokenizerFromSpiece numbers the sentinels behind the pieces, the first one last", () => {
  const tokenizer = tokenizerFromSpiece(handmadeModel(), config);
  expect(tokenizer.vocabularySize).toBe(16);
  expect(tokenizer.encode("<extra_id_0>a<extra_id_1>", 100).ids).toEqual([15, 3, 4, 14, 1]);
  const fixed = tokenizerConfig({
    config: { extra_ids: 2 },
    addedTokens: { "<extra_id_0>": 20, "<new>": 21 },
  });
  const other = tokenizerFromSpiece(handmadeModel(), fixed);
  expect(other.vocabularySize).toBe(22);
  expect(other.encode("<extra_id_0><new><extra_id_1>", 100).ids).toEqual([20, 21, 14, 1]);
});

test.each([
  ["trainer", { modelType: 2 }, {}],
  ["trainer", { byteFallback: true }, {}],
  ["trainer", { treatWhitespaceAsSuffix: true }, {}],
  ["normalizer", {}, { addDummyPrefix: false }],
  ["normalizer", {}, { removeExtraWhitespaces: false }],
  ["normalizer", {}, { escapeWhitespaces: false }],
])("tokenizerFromSpiece refuses a %s of another kind: %j %j", (_, trainer, normalizer) => {
  const field = Object.keys({ ...trainer, ...normalizer })[0]!;
  expect(() => tokenizerFromSpiece(handmadeModel(trainer, normalizer), config)).toThrowError(
    expect.objectContaining({ code: "model_config", message: expect.stringContaining(field) }),
  );
});

test("tokenizerFromSpiece refuses a model without the end token", () => {
  const other = tokenizerConfig({ config: { eos_token: "<end>" } });
  expect(() => tokenizerFromSpiece(handmadeModel(), other)).toThrowError(/<end>/);
});

test("tokenizerFromSpiece refuses every cut of a model as file_corrupt", () => {
  const whole = readFileSync(new URL("../../../golden/tiny-k3/tokenizer/spiece.model", import.meta.url));
  const cuts = [
    0,
    1,
    2,
    3,
    100,
    1000,
    ...Array.from({ length: 40 }, (_, i) => Math.floor((whole.length * i) / 40)),
  ];
  for (const length of [...cuts, whole.length - 1]) {
    expect(
      () => tokenizerFromSpiece(whole.subarray(0, length), config, "m/spiece.model"),
      `${length} bytes`,
    ).toThrowError(
      expect.objectContaining({ code: "file_corrupt", message: expect.stringContaining("m/spiece.model") }),
    );
  }
  for (const text of [
    "version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
    "<!doctype html>",
    "\0\0\0\0",
  ]) {
    expect(() => tokenizerFromSpiece(new TextEncoder().encode(text), config)).toThrowError(
      expect.objectContaining({ code: "file_corrupt" }),
    );
  }
});

test("tokenizerFromSpiece with damaged bytes either works or fails as a KandinskyError", () => {
  const whole = handmadeModel({}, { precompiledCharsmap: new Uint8Array([4, 0, 0, 0, 0, 4, 0, 0, 32, 0]) });
  let refused = 0;
  for (let place = 0; place < whole.length; place++) {
    for (const flip of [1, 0x10, 0x80, 0xff]) {
      const damaged = whole.map((byte, i) => (i === place ? byte ^ flip : byte));
      try {
        tokenizerFromSpiece(damaged, config).encode("abc ca [ b", 100);
      } catch (error) {
        expect(error).toBeInstanceOf(KandinskyError);
        refused++;
      }
    }
  }
  expect(refused).toBeGreaterThan(whole.length / 2);
});
