import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { EMBEDDED_MODEL } from "./mod.ts";
import { mayName, parseVocabulary, SUBJECTS_FILE } from "./vocabulary.ts";

const nano = parseVocabulary(readFileSync(join(EMBEDDED_MODEL, SUBJECTS_FILE), "utf8"), "nano");

test.each([
  "two pandas on a pink background",
  "три красных яблока на жёлтом фоне",
  "кот",
  "лисы, ното стиль",
  "Häuser",
  "黄色背景上的红苹果",
  "パンダ",
  "Лиса слева от дома",
])("mayName: %s is named", (prompt) => {
  expect(mayName(prompt, nano)).toBe(true);
});

test.each(["Shakespeare", "портрет художника", "抽象画", "", "42"])(
  "mayName: nothing known is in %j",
  (prompt) => {
    expect(mayName(prompt, nano)).toBe(false);
  },
);

test("parseVocabulary says which entry has another form", () => {
  for (const text of ["", "{}", "[{}]", '[{ "labels": { "en": 1 } }]']) {
    expect(() => parseVocabulary(text, "a/subjects.json")).toThrow(KandinskyError);
  }
  expect(() => parseVocabulary('[{ "labels": {} }, { "labels": 3 }]', "a/subjects.json")).toThrow(
    /a\/subjects\.json.*1\.labels/s,
  );
});
