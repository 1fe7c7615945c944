import { expect, test } from "vitest";
import { drawsOf, foldIn, keyOf } from "../random/mod.ts";
import { parseTexts, pickText } from "./texts.ts";

const one = (extension: string, content: string) => parseTexts([{ extension, content }], "x");

test("parseTexts reads lines of txt files with the language of their name", () => {
  expect(one("txt", "a fox\r\n\n  a red fox \n")).toEqual([
    { text: "a fox", language: "und", kind: "original" },
    { text: "a red fox", language: "und", kind: "original" },
  ]);
  expect(one("ru.txt", "лиса")).toEqual([{ text: "лиса", language: "ru", kind: "original" }]);
});

test("parseTexts reads every form of JSON", () => {
  const fox = { text: "fox", language: "und", kind: "original" };
  expect(one("json", '"fox"')).toEqual([fox]);
  expect(one("json", '{"caption":"fox","key":"7"}')).toEqual([fox]);
  expect(one("json", '{"captions":{"en":"fox","ru":["лиса",""]}}')).toEqual([
    { ...fox, language: "en" },
    { text: "лиса", language: "ru", kind: "original" },
  ]);
  expect(
    one("json", '{"captions":[{"text":"fox","language":"en","kind":"label"},{"text":"x","lang":"de"}]}'),
  ).toEqual([
    { text: "fox", language: "en", kind: "label" },
    { text: "x", language: "de", kind: "original" },
  ]);
  for (const empty of ["{}", "[]", "null", "3", '{"caption":null}', '{"caption":"  "}', '{"__proto__":1}']) {
    expect(one("json", empty), empty).toEqual([]);
  }
  expect(() => one("json", "{caption")).toThrow("cannot read the captions: x");
});

test("pickText draws languages by weight, whatever their number of captions", () => {
  const choices = [
    ...Array.from({ length: 9 }, (_, i) => ({ text: `en ${i}`, language: "en", kind: "label" })),
    { text: "лиса", language: "ru", kind: "label" },
    { text: "рыжая", language: "ru", kind: "keywords" },
    { text: "verboten", language: "de", kind: "label" },
  ];
  const weights = { languages: { en: 1, ru: 3, de: 0 }, kinds: { keywords: 1 }, other: 1 };
  const drawn = Array.from(
    { length: 4000 },
    (_, i) => pickText(drawsOf(foldIn(keyOf(1), i)), choices, weights)!,
  );
  const share = (language: string) => drawn.filter((choice) => choice.language === language).length / 4000;
  expect(Math.abs(share("ru") - 0.75)).toBeLessThan(5 * Math.sqrt((0.75 * 0.25) / 4000));
  expect(share("de")).toBe(0);
  const keywords = drawn.filter(({ text }) => text === "рыжая").length / drawn.length;
  expect(Math.abs(keywords - 0.375)).toBeLessThan(5 * Math.sqrt(0.25 / 4000));
  expect(pickText(drawsOf(keyOf(1)), choices, { languages: {}, kinds: {}, other: 0 })).toBeUndefined();
  expect(pickText(drawsOf(keyOf(1)), [], weights)).toBeUndefined();
});
