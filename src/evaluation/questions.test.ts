import { expect, test } from "vitest";
import { keyOf } from "../random/mod.ts";
import { isHeldOutBackground, isHeldOutPair, readSubjects } from "../scenes/mod.ts";
import type { Verdict } from "./judge.ts";
import { GROUPS, type Question, questionsOf, summarise } from "./questions.ts";

const subjects = (await readSubjects()).filter(({ heldOut }) => !heldOut).slice(0, 60);
const FIRST = { hundred: 0, own: 0, seed: 0, nearest: "1F34E" };
const FOURTH = { hundred: 3, own: 1, seed: undefined, nearest: "1F34E" };
const toldOf = (language: string) => ({
  features: language === "en" ? FIRST : FOURTH,
  colours: language === "zh" ? FIRST : FOURTH,
});
const options = {
  subjects,
  alone: subjects,
  languages: ["en", "ru", "zh"],
  seeds: [0, 1],
  scenes: 30,
  key: keyOf(2),
} as const;

const of = (questions: readonly Question[], group: string) => questions.filter((one) => one.group === group);

test("questionsOf asks for every subject in every language with every seed, in plain words", () => {
  const alone = of(questionsOf(options), "subject");
  expect(alone.length).toBe(60 * 3 * 2);
  expect(
    new Set(alone.map(({ language, seed, spec }) => `${language} ${seed} ${spec.subjects[0]!.code}`)).size,
  ).toBe(360);
  for (const { language, prompt, spec } of alone) {
    const { labels } = subjects.find(({ code }) => code === spec.subjects[0]!.code)!;
    const wanted = { en: ", noto style", ru: ", ното стиль", zh: "，noto" } as Record<string, string>;
    expect(prompt).toBe(labels[language] + wanted[language]);
  }
});

test("questionsOf asks for scenes of every group, held-out ones only where it says so", () => {
  const questions = questionsOf(options);
  expect(questions).toEqual(questionsOf(options));
  expect([...new Set(questions.map(({ group }) => group))]).toEqual(GROUPS);
  for (const group of GROUPS.slice(1)) {
    const asked = of(questions, group);
    expect(asked.length).toBe(30);
    expect(new Set(asked.map(({ language }) => language)).size).toBe(3);
    for (const { spec } of asked) {
      const [first, second] = spec.subjects.map(({ code }) => code);
      if (spec.kind === "single") {
        expect(spec.background).not.toBe("white");
        expect(isHeldOutBackground(first!, spec.background)).toBe(group === "held-out background");
      }
      if (spec.kind === "relation") expect(isHeldOutPair(first!, second!)).toBe(group === "held-out pair");
    }
  }
});

test("summarise gives rates by group and language, of what was asked only", () => {
  const nothing = {
    ranks: undefined,
    count: undefined,
    relation: undefined,
    grid: undefined,
    figures: undefined,
  };
  const questions = questionsOf(options);
  const answers = questions.map((question, i): { question: Question; verdict: Verdict } => ({
    question,
    verdict:
      question.group === "subject"
        ? { ...nothing, background: true, ranks: toldOf(question.language) }
        : { ...nothing, background: i % 2 === 0, ...(question.spec.kind === "count" ? { count: true } : {}) },
  }));
  const rows = summarise(answers);
  const row = (group: string, language: string) =>
    rows.find((one) => one.group === group && one.language === language)!;
  expect(row("subject", "all").features.first).toMatchObject({ hits: 120, count: 360 });
  expect(row("subject", "ru").features.first.share).toBe(0);
  expect(row("subject", "ru").features.five.share).toBe(1);
  expect(row("subject", "ru").features.firstOfOwn.share).toBe(0);
  expect(row("subject", "ru").features.fiveOfOwn.share).toBe(1);
  expect(row("subject", "all").features.firstOfSeed).toMatchObject({ hits: 120, count: 120 });
  expect(row("subject", "zh").colours.first.share).toBe(1);
  expect(row("count", "all").count).toMatchObject({ hits: 30, count: 30 });
  expect(row("count", "all").relation.count).toBe(0);
  expect(row("grid", "all").background.share).toBe(0.5);
  expect(rows.length).toBe(GROUPS.length * 4);
});

test("questionsOf asks fewer subjects alone, and leaves out what a short list has nothing for", () => {
  const few = questionsOf({ ...options, alone: subjects.slice(0, 2) });
  expect(of(few, "subject").length).toBe(2 * 3 * 2);
  expect(of(few, "relation").length).toBe(30);
  const [one] = subjects;
  const lone = questionsOf({ ...options, subjects: [one!], alone: [one!] });
  expect([of(lone, "relation").length, of(lone, "held-out pair").length, of(lone, "count").length]).toEqual([
    0, 0, 30,
  ]);
});
