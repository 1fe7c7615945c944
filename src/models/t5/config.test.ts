import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { KandinskyError } from "../../base/mod.ts";
import { FLAN_UL2, parseT5Config } from "./config.ts";

const PATH = fileURLToPath(new URL("../../../../golden/tiny-k3/text_encoder/config.json", import.meta.url));
const TINY = JSON.parse(readFileSync(PATH, "utf8")) as Record<string, unknown>;

function errorOf(change: Record<string, unknown>): KandinskyError {
  try {
    parseT5Config({ ...TINY, ...change }, "encoder/config.json");
  } catch (error) {
    if (error instanceof KandinskyError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

test("parseT5Config reads what transformers writes, and nothing else", () => {
  expect(parseT5Config(TINY, PATH)).toEqual({
    dModel: 32,
    dKv: 8,
    numHeads: 4,
    dFf: 64,
    numLayers: 2,
    vocabSize: 1024,
    numBuckets: 32,
    maxDistance: 128,
    epsilon: 1e-6,
  });
});

test("FLAN_UL2 has the parameters of the released encoder", () => {
  const { dModel, dKv, numHeads, dFf, numLayers, vocabSize, numBuckets } = FLAN_UL2;
  const layer = 4 * dModel * numHeads * dKv + 3 * dModel * dFf + 2 * dModel;
  expect(layer).toBe(268_443_648);
  const count = numLayers * layer + vocabSize * dModel + numBuckets * numHeads + dModel;
  expect(count).toBe(8_721_797_632);
});

test("parseT5Config takes transformers' defaults for the buckets and the epsilon", () => {
  const { relative_attention_max_distance: _, layer_norm_epsilon: __, ...rest } = TINY;
  expect(parseT5Config(rest, PATH)).toEqual(parseT5Config(TINY, PATH));
});

test.each(["relu", "gated-gelu", "gelu", undefined])("parseT5Config refuses feed_forward_proj %s", (seen) => {
  const error = errorOf({ feed_forward_proj: seen });
  expect(error.code).toBe("model_config");
  expect(error.parts.where).toBe('encoder/config.json, key "feed_forward_proj"');
  expect(error.parts.seen).toBe(seen === undefined ? "nothing" : `"${seen}"`);
  expect(error.parts.wanted).toContain('"gated-silu"');
});

test.each([
  ["d_model", 0],
  ["num_heads", 2.5],
  ["num_layers", "2"],
  ["vocab_size", -1],
  ["layer_norm_epsilon", 0],
  ["relative_attention_num_buckets", 30],
  ["relative_attention_max_distance", 8],
])("parseT5Config refuses %s = %s with the key and the value", (key, seen) => {
  const error = errorOf({ [key]: seen });
  expect(error.code).toBe("model_config");
  expect(error.parts.where).toContain(`"${key}"`);
  expect(error.parts.seen).toBe(JSON.stringify(seen));
});

test("parseT5Config refuses another kind of encoder", () => {
  expect(errorOf({ model_type: "umt5" }).code).toBe("model_family");
  expect(() => parseT5Config([], "x")).toThrow(KandinskyError);
  expect(() => parseT5Config(null, "x")).toThrow(KandinskyError);
});
