import { expect, test } from "vitest";
import { foldIn, keyOf } from "../random/mod.ts";
import { namesOf, readSubjects } from "../scenes/mod.ts";
import { headsOf, openCaptions, shownCodes } from "./text-batch.ts";

const subjects = await readSubjects();
const codes = shownCodes(subjects);
const source = { subjects, languages: { en: 1, ru: 1, zh: 1 }, split: "train" } as const;

test("openCaptions draws two captions of one scene in two languages, the same for the same key", () => {
  const [drawer, again] = [openCaptions(source), openCaptions(source)];
  for (let i = 0; i < 100; i++) {
    const key = foldIn(keyOf(3), i);
    const [one, other] = drawer.pair(key);
    expect(one.classes).toEqual(other.classes);
    expect(one.caption.language).not.toBe(other.caption.language);
    expect(again.pair(key)).toEqual([one, other]);
  }
});

test("openCaptions gives the class of the subject that the caption names, within what headsOf says", () => {
  const heads = headsOf(codes);
  const drawer = openCaptions(source);
  const seen = heads.map(() => new Set<number>());
  for (let i = 0; i < 300; i++) {
    const { caption, classes } = drawer.single(foldIn(keyOf(4), i), "zh");
    const named = subjects.find(({ code }) => code === codes[classes[0]!])!;
    expect(namesOf(named, "zh").some((name) => caption.text.includes(name))).toBe(true);
    for (const [head, value] of classes.entries()) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(heads[head]!.classes);
      seen[head]!.add(value);
    }
  }
  expect(seen[2]!.size).toBe(9);
  expect(seen[3]!.size).toBe(13);
});
