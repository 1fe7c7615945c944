import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadTokenizer } from "./mod.ts";

const golden = fileURLToPath(new URL("../../../golden/tiny-k3/tokenizer/", import.meta.url));
let folder: string;
const copy = (name: string): Promise<void> => copyFile(join(golden, name), join(folder, name));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenizer-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("loadTokenizer names the folder and both files where there is neither", async () => {
  for (const place of [folder, join(folder, "absent")]) {
    const failure = expect.objectContaining({ code: "tokenizer_missing", fault: "user" });
    await expect(loadTokenizer(place)).rejects.toEqual(failure);
    await expect(loadTokenizer(place)).rejects.toThrowError(place);
    await expect(loadTokenizer(place)).rejects.toThrowError(/spiece\.model.*tokenizer\.json/);
  }
});

test("loadTokenizer prefers spiece.model and takes tokenizer.json where it is alone", async () => {
  await copy("tokenizer.json");
  expect((await loadTokenizer(folder)).vocabularySize).toBe(1008);
  await copy("spiece.model");
  // Without the small files T5's default of 100 sentinels holds.
  expect((await loadTokenizer(folder)).vocabularySize).toBe(1100);
  await copy("tokenizer_config.json");
  expect((await loadTokenizer(folder)).encode("<extra_id_7>", 8).ids).toEqual([1000, 1]);
  await writeFile(join(folder, "tokenizer.json"), "broken");
  expect((await loadTokenizer(folder)).vocabularySize).toBe(1008);
});

test.each([
  ["tokenizer.json", "{", /JSON/],
  ["tokenizer.json", "[]", /expected object/],
  ["tokenizer.json", '{"added_tokens":[],"model":{"type":"BPE","unk_id":0,"vocab":[]}}', /model\.type/],
  ["tokenizer_config.json", '{"extra_ids":1e12}', /extra_ids/],
  ["tokenizer_config.json", '{"eos_token":7}', /eos_token/],
  ["added_tokens.json", '{"<x>":"a"}', /<x>/],
  ["special_tokens_map.json", "\u0000", /JSON/],
  ["spiece.model", "\u0000", /SentencePiece/],
])("loadTokenizer refuses a %s of %j", async (name, text, reason) => {
  await writeFile(join(folder, name), text);
  await expect(loadTokenizer(folder)).rejects.toThrowError(expect.objectContaining({ code: "file_corrupt" }));
  await expect(loadTokenizer(folder)).rejects.toThrowError(reason);
  await expect(loadTokenizer(folder)).rejects.toThrowError(name);
});
