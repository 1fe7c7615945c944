import { expect, test } from "vitest";
import { readSubjects } from "../scenes/mod.ts";
import { modelSubjects, spreadOver } from "./model-subjects.ts";
import { figuresOf, isRight, type Judged, quantilesOf } from "./report.ts";

const ours = await readSubjects();
const apple = ours.find(({ code }) => code === "1F34E")!;
const listed = [{ code: "1F34E", labels: { en: "apple", ru: apple.labels.ru }, style: "noto" }];

test("modelSubjects takes names from the model, and forms and further languages from ours", () => {
  const [subject] = modelSubjects(listed, "list", ours, ["en", "ru", "da"]);
  expect(subject).toMatchObject({ code: "1F34E", style: "noto", heldOut: false, forms: apple.forms });
  expect([subject!.labels.en, subject!.labels.da]).toEqual(["apple", apple.labels.da]);
});

test("modelSubjects refuses other forms, and languages without names, with their place", () => {
  const wrong = [undefined, [], [{ code: "1F34E" }], [{ ...listed[0], style: "crayon" }]];
  for (const json of wrong) {
    expect(() => modelSubjects(json, "list", ours, ["en"])).toThrow(
      expect.objectContaining({ code: "file_corrupt", parts: expect.objectContaining({ where: "list" }) }),
    );
  }
  expect(() => modelSubjects(listed, "list", [], ["en", "de"])).toThrow(
    expect.objectContaining({
      code: "option_invalid",
      parts: expect.objectContaining({ seen: "de", wanted: "en, ru" }),
    }),
  );
});

test("spreadOver takes from all over the list, and no more than there are", () => {
  expect(spreadOver(ours, 4)).toEqual([0, 84, 168, 252].map((i) => ours[i]));
  expect(spreadOver(ours.slice(0, 3), 9)).toEqual(ours.slice(0, 3));
});

const ranksOf = (hundred: number, nearest: string) => ({ hundred, own: 0, seed: undefined, nearest });

test("quantilesOf and figuresOf give curves and the worst subject first", () => {
  expect([0, 25, 50].map((i) => quantilesOf([5, 1, 3])[i])).toEqual([1, 3, 5]);
  const judged = ours.slice(0, 4).map(
    ({ code }, i): Judged => ({
      question: {
        ...{ group: "subject", language: "en", prompt: code, seed: 0 },
        spec: {
          ...{ kind: "single", style: "noto", background: "white", relation: undefined, count: 1 },
          subjects: [{ code, left: 0, top: 0, side: 1 }],
          told: { style: true, white: false },
        },
      },
      verdict: {
        ...{ background: true, count: undefined, relation: undefined, grid: undefined, figures: undefined },
        ranks: { features: ranksOf(2 * i, i === 0 ? code : "1F34E"), colours: ranksOf(50, code) },
      },
      ...{ file: `${i}.png`, nearest: 0.1 },
    }),
  );
  const { curves, bySubject, pictures } = figuresOf(judged);
  expect(curves[0]!.shares.slice(0, 8)).toEqual([0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1]);
  expect(bySubject[0]).toMatchObject({ code: ours[3]!.code, takenFor: ["1F34E"], five: { hits: 0 } });
  expect(bySubject.at(-1)).toMatchObject({ code: ours[0]!.code, takenFor: [] });
  expect(pictures.map(({ right }) => right)).toEqual([true, false, false, false]);
  expect(isRight({ ...judged[0]!.verdict, background: false })).toBe(false);
  expect(isRight({ ...judged[0]!.verdict, count: false })).toBe(false);
});
