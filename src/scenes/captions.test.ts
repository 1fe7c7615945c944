import { expect, test } from "vitest";
import { foldIn, keyOf } from "../random/mod.ts";
import { BACKGROUND_WORDS, BACKGROUNDS } from "./backgrounds.ts";
import { captionsOf, drawCaption, NANO_CAPTIONS, promptOf } from "./captions.ts";
import { ALL_LANGUAGES, LANGUAGES, type Language } from "./languages.ts";
import { drawSpec, NANO_SCENES, type SceneSpec } from "./spec.ts";
import { readSubjects } from "./subjects.node.ts";
import { namesOf } from "./subjects.ts";

const subjects = await readSubjects();
const byCode = new Map(subjects.map((subject) => [subject.code, subject]));

function scenes(count: number): SceneSpec[] {
  return Array.from({ length: count }, (_, i) => drawSpec(foldIn(keyOf(2), i), subjects, NANO_SCENES));
}

test("captionsOf names subjects, background and style in every language, with no slot left", () => {
  for (const [i, spec] of scenes(400).entries()) {
    for (const { text, language } of captionsOf(foldIn(keyOf(3), i), spec, byCode, ALL_LANGUAGES)) {
      const where = `${language}: ${text}`;
      expect(text, where).not.toMatch(/[{}]|undefined| {2}|^\s|\s$|,,/);
      for (const { code } of spec.subjects) {
        const subject = byCode.get(code)!;
        const forms = namesOf(subject, language).flatMap((name) => {
          const { plural, genitive, two } = subject.forms[language]?.[name] ?? {};
          return [name, plural, genitive, two?.slice(two.indexOf(" ") + 1)].filter(
            (form) => form !== undefined,
          );
        });
        expect(
          forms.some((form) => text.includes(form)),
          where,
        ).toBe(true);
      }
      if (spec.background !== "white") {
        const at = Object.keys(BACKGROUNDS).indexOf(spec.background);
        const words = BACKGROUND_WORDS[language].names.split(",")[at]!.split("|");
        expect(
          words.some((word) => text.includes(word)),
          where,
        ).toBe(true);
      }
    }
  }
});

test("promptOf says relations, counts, grids and backgrounds as people do", () => {
  const plain = { style: "noto", told: { style: false, white: false } } as const;
  const at = { left: 0, top: 0, side: 0.4 };
  const cat = { code: "1F418", ...at };
  const house = { code: "1F3E0", ...at };
  const one = { ...plain, kind: "single", relation: undefined, count: 1, subjects: [cat] } as const;
  const pair = { ...plain, kind: "relation", relation: "left", count: 2, subjects: [cat, house] } as const;
  const three = { ...one, kind: "count", count: 3 } as const;
  const grid = { ...one, kind: "grid", count: 9 } as const;
  const cases: [SceneSpec, Partial<Record<Language, string>>][] = [
    [
      { ...one, background: "pink", told: { style: true, white: false } },
      {
        en: "elephant on a pink background, noto style",
        ru: "слон на розовом фоне, ното стиль",
        de: "Elefant auf rosa Hintergrund, noto",
        zh: "大象，粉色背景，noto",
      },
    ],
    [
      { ...pair, background: "white" },
      {
        en: "elephant to the left of house",
        ru: "слон слева от дома",
        de: "Elefant links, Haus rechts",
        fr: "éléphant à gauche de maison",
        ja: "家の左にゾウ",
      },
    ],
    [
      { ...three, background: "orange" },
      {
        en: "three elephants on an orange background",
        ru: "три слона на оранжевом фоне",
        pl: "słoń, trzy sztuki na pomarańczowym tle",
        ko: "코끼리 세 개, 주황색 배경",
      },
    ],
    [
      { ...grid, background: "white", told: { style: false, white: true } },
      { en: "elephant, 3x3 grid on a white background", ru: "слон, сетка 3x3 на белом фоне" },
    ],
  ];
  for (const [spec, texts] of cases) {
    for (const [language, text] of Object.entries(texts)) {
      expect(promptOf(spec, byCode, language as Language)).toBe(text);
    }
  }
});

test("promptOf cuts the French de before a vowel and a mute h only", () => {
  const at = { left: 0, top: 0, side: 0.4 };
  const text = (code: string) =>
    promptOf(
      {
        kind: "relation",
        relation: "right",
        style: "noto",
        background: "white",
        count: 2,
        subjects: [
          { code: "1F3E0", ...at },
          { code, ...at },
        ],
        told: { style: false, white: false },
      },
      byCode,
      "fr",
    );
  expect(text("1F418")).toBe("maison à droite d’éléphant");
  expect(text("1F681")).toBe("maison à droite d’hélicoptère");
  expect(text("1F994")).toBe("maison à droite de hérisson");
});

test("drawCaption keeps to the weights of languages and never uses the held-out one", () => {
  const drawn = scenes(3000).map((spec, i) => drawCaption(foldIn(keyOf(4), i), spec, byCode, NANO_CAPTIONS));
  const share = (language: Language) =>
    drawn.filter((caption) => caption.language === language).length / drawn.length;
  for (const language of LANGUAGES) {
    const wanted = NANO_CAPTIONS.languages[language]!;
    const error = Math.sqrt((wanted * (1 - wanted)) / drawn.length);
    expect(Math.abs(share(language) - wanted), language).toBeLessThan(5 * error);
  }
  expect(share("da")).toBe(0);
  expect(new Set(drawn.map(({ kind }) => kind))).toEqual(new Set(["label", "name", "keywords"]));
});
