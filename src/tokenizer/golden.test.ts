import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadTokenizer, tokenizerConfig, tokenizerFromJson } from "./mod.ts";

interface Case {
  readonly tag: string;
  readonly text: string;
  readonly ids: readonly number[];
  readonly full_length: number;
  readonly fast?: readonly number[];
  readonly v5?: readonly number[];
}

const golden = fileURLToPath(new URL("../../../golden/", import.meta.url));
const folder = `${golden}tiny-k3/tokenizer`;
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
const { cases } = readJson(`${golden}tokenizer-cases.json`) as { cases: readonly Case[] };

test("loadTokenizer gives ids and full length of all 256 golden cases from spiece.model", async () => {
  const tokenizer = await loadTokenizer(folder);
  expect(cases.length).toBe(256);
  expect(tokenizer.vocabularySize).toBe(1008);
  const seen = cases.map(({ tag, text }) => ({ tag, text, ...tokenizer.encode(text, 128) }));
  const wanted = cases.map(({ tag, text, ids, full_length }) => ({
    tag,
    text,
    ids,
    fullLength: full_length,
  }));
  expect(seen.map(({ tag, text, ids, fullLength }) => ({ tag, text, ids, fullLength }))).toEqual(wanted);
});

test("tokenizerFromJson gives ids, fast or v5 of all 256 golden cases", () => {
  const config = tokenizerConfig({ config: readJson(`${folder}/tokenizer_config.json`) });
  const tokenizer = tokenizerFromJson(readJson(`${folder}/tokenizer.json`), config);
  expect(tokenizer.vocabularySize).toBe(1008);
  const differing = cases.filter(({ text, ids, fast, v5 }) => {
    const seen = JSON.stringify(tokenizer.encode(text, 128).ids);
    return ![ids, fast, v5].some((column) => JSON.stringify(column) === seen);
  });
  expect(differing).toEqual([]);
});

test("encode counts characters as a reader does and names the unknown ones", async () => {
  const tokenizer = await loadTokenizer(folder);
  const count = (text: string) => {
    const { unknown, characters } = tokenizer.encode(text, 128);
    return { unknown, characters };
  };
  expect(count("")).toEqual({ unknown: [], characters: 0 });
  expect(count(" \n")).toEqual({ unknown: [], characters: 0 });
  expect(count("cat")).toEqual({ unknown: [], characters: 3 });
  expect(count("a 👨‍👩‍👧 b 𒀀𒀁 e\u0301")).toEqual({ unknown: ["👨‍👩‍👧", "𒀀", "𒀁"], characters: 6 });
  expect(count("a<extra_id_0> 𒀀")).toEqual({ unknown: ["𒀀"], characters: 14 });
  expect(count("cat".repeat(1000)).characters).toBe(3000);
});

test("encode cuts to the length asked, the end token last, and refuses none", async () => {
  const tokenizer = await loadTokenizer(folder);
  expect(tokenizer.encode("a b c", 3)).toMatchObject({ ids: [18, 149, 1], fullLength: 4 });
  expect(tokenizer.encode("a b c", 1)).toMatchObject({ ids: [1], fullLength: 4 });
  expect(tokenizer.encode("\ud800", 8).ids).toEqual(tokenizer.encode("\ufffd", 8).ids);
  for (const length of [0, -1, 1.5, Number.NaN]) {
    expect(() => tokenizer.encode("a", length)).toThrowError(
      expect.objectContaining({ code: "option_invalid" }),
    );
  }
});
