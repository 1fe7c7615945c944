import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { ALL_LANGUAGES, LANGUAGES } from "./languages.ts";
import { readSeedCodes, readSubjects } from "./subjects.node.ts";
import { listedSubjects, namesOf, parseSubjects } from "./subjects.ts";

test("readSubjects gives at least 300 for training, those of the seed model among them", async () => {
  const subjects = await readSubjects();
  const trained = new Set(subjects.filter(({ heldOut }) => !heldOut).map(({ code }) => code));
  expect(trained.size).toBeGreaterThanOrEqual(300);
  expect(subjects.length - trained.size).toBe(16);
  const seed = await readSeedCodes();
  expect(seed.length).toBe(48);
  expect(seed.filter((code) => !trained.has(code))).toEqual([]);
});

test("readSubjects names every subject in 16 languages, no two alike in one of them", async () => {
  const subjects = await readSubjects();
  for (const language of ALL_LANGUAGES) {
    const owners = new Map<string, string>();
    for (const subject of subjects) {
      for (const name of namesOf(subject, language)) {
        const key = name.toLowerCase();
        expect(owners.get(key) ?? subject.code, `"${name}" in ${language}`).toBe(subject.code);
        owners.set(key, subject.code);
      }
    }
  }
});

test("parseSubjects refuses another form, unknown styles and codes given twice", async () => {
  const [one] = await readSubjects();
  const { code, labels, style } = one!;
  const row = { code, labels, style };
  expect(parseSubjects([row], "list")[0]).toMatchObject({ code, heldOut: false, names: {} });
  for (const rows of [
    [row, row],
    [{ ...row, style: "oil" }],
    [{ ...row, code: "apple" }],
    [{ ...row, labels: { en: "apple" } }],
    {},
  ]) {
    expect(() => parseSubjects(rows, "list")).toThrow(KandinskyError);
  }
  expect(() => parseSubjects([row, row], "list")).toThrow(`the code ${code} twice`);
});

test("listedSubjects has the form of a model's subjects.json and no held-out subject", async () => {
  const subjects = await readSubjects();
  const listed = listedSubjects(subjects);
  expect(listed.length).toBe(subjects.filter(({ heldOut }) => !heldOut).length);
  for (const { labels, ...rest } of listed) {
    expect(Object.keys(labels)).toEqual([...LANGUAGES]);
    expect(Object.keys(rest)).toEqual(["code", "style"]);
  }
});
