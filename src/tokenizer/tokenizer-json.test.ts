import { expect, test } from "vitest";
import { tokenizerConfig, tokenizerFromJson } from "./mod.ts";

const config = tokenizerConfig({});
const metaspace = { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always" };
const document = {
  added_tokens: [
    { id: 1, content: "</s>" },
    { id: 2, content: "<unk>" },
    { id: 6, content: "<extra_id_0>" },
  ],
  normalizer: null,
  pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
  model: {
    type: "Unigram",
    unk_id: 2,
    vocab: [["<pad>", 0] as const, ["</s>", 0], ["<unk>", 0], ["\u2581", -2], ["a", -3], ["\u2581a", -4]],
  },
};

test("tokenizerFromJson reads pieces, added tokens and steps", () => {
  const tokenizer = tokenizerFromJson(document, config);
  expect(tokenizer.vocabularySize).toBe(7);
  expect(tokenizer.encode(" a  ab<extra_id_0>a", 100).ids).toEqual([5, 5, 2, 6, 5, 1]);
});

test.each([
  [{ normalizer: { type: "Lowercase" } }, "model_config", "Lowercase"],
  [{ pre_tokenizer: null }, "model_config", "Metaspace"],
  [{ added_tokens: [] }, "model_config", "</s>"],
  [{ normalizer: { type: "Precompiled", precompiled_charsmap: "*" } }, "file_corrupt", "base64"],
  [{ normalizer: { type: "Precompiled", precompiled_charsmap: "/////w==" } }, "file_corrupt", "trie"],
  [{ normalizer: { type: "Sequence" } }, "file_corrupt", "tokenizer.json"],
  [{ model: { ...document.model, unk_id: 99 } }, "file_corrupt", "unknown"],
  [{ model: { ...document.model, vocab: [["a", 0]] } }, "file_corrupt", "unknown"],
  [{ model: { ...document.model, byte_fallback: true } }, "file_corrupt", "byte_fallback"],
])("tokenizerFromJson refuses %j with %s", (change, code, word) => {
  expect(() => tokenizerFromJson({ ...document, ...change }, config)).toThrowError(
    expect.objectContaining({ code, message: expect.stringContaining(word) }),
  );
});
