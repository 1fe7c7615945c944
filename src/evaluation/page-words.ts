import type { Group } from "./questions.ts";

/** What the page of an evaluation says, in one language. */
export interface PageWords {
  readonly title: (model: string) => string;
  /** Of how many subjects, in which languages, with how many seeds, and how they were drawn. */
  readonly asked: (asked: number, listed: number, languages: string, seeds: number) => string;
  readonly drawn: (size: string, steps: string, guidance: string, sampler: string) => string;
  readonly groups: Readonly<Record<Group, string>>;
  readonly columns: {
    readonly group: string;
    readonly language: string;
    readonly first: string;
    readonly five: string;
    readonly firstOfOwn: string;
    readonly fiveOfOwn: string;
    readonly background: string;
    readonly count: string;
    readonly relation: string;
    readonly grid: string;
  };
  readonly allLanguages: string;
  readonly rates: string;
  readonly how: string;
  readonly curves: string;
  readonly within: string;
  readonly nearest: string;
  readonly nearestHow: (library: number) => string;
  readonly modelPictures: string;
  readonly freshDrawings: string;
  readonly median: string;
  readonly hardest: string;
  readonly subject: string;
  readonly looksLike: string;
  readonly sheets: string;
  readonly right: string;
  readonly worst: string;
  readonly rank: (place: number) => string;
  readonly none: string;
}

/** Languages that a page can be in. */
export const PAGE_WORDS = {
  en: {
    title: (model) => `What ${model} draws`,
    asked: (asked, listed, languages, seeds) =>
      `${asked} of its ${listed} subjects, in ${languages}, ${seeds} ${seeds === 1 ? "seed" : "seeds"}`,
    drawn: (size, steps, guidance, sampler) =>
      `${size} px, ${steps} steps, guidance ${guidance}, sampler ${sampler}`,
    groups: {
      subject: "one subject on white",
      background: "one subject on a colour",
      count: "two to four of a kind",
      relation: "two subjects",
      grid: "3x3 grid",
      "held-out background": "one subject on a colour, held out",
      "held-out pair": "two subjects, held out",
    },
    columns: {
      group: "asked for",
      language: "language",
      first: "first of 100",
      five: "in the first 5 of 100",
      firstOfOwn: "first of its list",
      fiveOfOwn: "in the first 5 of its list",
      background: "background",
      count: "count",
      relation: "relation",
      grid: "straight grid",
    },
    allLanguages: "all",
    rates: "Figures",
    how: "Percent, with the interval in which the true share lies with 95 % (Wilson), and how many pictures were judged. The subject is told by mean colours on a 16x16 grid: whose drawing is nearest. Held-out combinations never occur in the training of our own nano model.",
    curves: "Right subject within the first places of 100, %",
    within: "places",
    nearest: "Distance to the nearest training picture",
    nearestHow: (library) =>
      `Colour distance to the nearest of ${library} training scenes, smallest to largest. Where the model's pictures lie far below fresh drawings of the data, it repeats what it has seen.`,
    modelPictures: "the model's pictures",
    freshDrawings: "fresh drawings",
    median: "median",
    hardest: "Subjects, the worst first",
    subject: "subject",
    looksLike: "looks like",
    sheets: "Pictures",
    right: "right, from all over",
    worst: "the worst",
    rank: (place) => `place ${place}`,
    none: "none",
  },
  ru: {
    title: (model) => `Что рисует ${model}`,
    asked: (asked, listed, languages, seeds) =>
      `предметов ${asked} из ${listed} её списка, языки: ${languages}, зёрен ${seeds}`,
    drawn: (size, steps, guidance, sampler) =>
      `${size} пикс., шагов ${steps}, усиление ${guidance}, сэмплер ${sampler}`,
    groups: {
      subject: "один предмет на белом",
      background: "один предмет на цветном фоне",
      count: "от двух до четырёх одинаковых",
      relation: "два предмета",
      grid: "сетка 3x3",
      "held-out background": "один предмет на цветном фоне, не показанное",
      "held-out pair": "два предмета, не показанное",
    },
    columns: {
      group: "что просили",
      language: "язык",
      first: "первый из 100",
      five: "в первых 5 из 100",
      firstOfOwn: "первый из списка модели",
      fiveOfOwn: "в первых 5 из списка",
      background: "фон",
      count: "число",
      relation: "расположение",
      grid: "ровная сетка",
    },
    allLanguages: "все",
    rates: "Цифры",
    how: "Проценты с промежутком, где с вероятностью 95 % лежит истинная доля (Уилсон), и число оценённых картин. Предмет узнаётся по средним цветам на сетке 16x16: чей рисунок ближе. Непоказанные сочетания не встречаются при обучении нашей собственной модели nano.",
    curves: "Нужный предмет в первых местах из 100, %",
    within: "мест",
    nearest: "Расстояние до ближайшей картины обучения",
    nearestHow: (library) =>
      `Цветовое расстояние до ближайшей из ${library} сцен обучения, от меньших к большим. Если картины модели лежат намного ниже новых рисунков тех же данных, модель повторяет виденное.`,
    modelPictures: "картины модели",
    freshDrawings: "новые рисунки",
    median: "медиана",
    hardest: "Предметы, сначала худшие",
    subject: "предмет",
    looksLike: "похоже на",
    sheets: "Картины",
    right: "верные, отовсюду",
    worst: "худшие",
    rank: (place) => `место ${place}`,
    none: "нет",
  },
} as const satisfies Readonly<Record<string, PageWords>>;

/** One of `PAGE_WORDS`. */
export type PageLanguage = keyof typeof PAGE_WORDS;
