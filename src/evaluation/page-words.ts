import type { Group } from "./questions.ts";
import type { GridMedians } from "./report.ts";

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
    readonly firstOfSeed: string;
    readonly background: string;
    readonly count: string;
    readonly relation: string;
    readonly grid: string;
  };
  readonly firstByColour: string;
  readonly fiveByColour: string;
  readonly byColour: string;
  readonly judge: string;
  readonly drawings: string;
  readonly strangers: string;
  readonly ownFigures: string;
  readonly gridMedians: (medians: GridMedians) => string;
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
      firstOfSeed: "first of the seed model's 48",
      background: "background",
      count: "count",
      relation: "relation",
      grid: "straight grid",
    },
    firstByColour: "first of 100 by colour",
    fiveByColour: "in the first 5 by colour",
    byColour: "The same by plain colours",
    judge: "The judge itself",
    drawings: "fresh drawings of these subjects",
    strangers: "the same, as if another subject had been asked for",
    ownFigures: "the classifier on drawings apart from its training",
    gridMedians: ({ pictures, filled, periodError, residual, tilt, alike }) =>
      `Grids, medians of ${pictures}: ${filled} of 9 cells filled, period off by ${(100 * periodError).toFixed(1)} %, centres off by ${(100 * residual).toFixed(1)} % of it, tilted by ${tilt.toFixed(1)} degrees, the most different cell ${alike.toFixed(2)} like the mean.`,
    allLanguages: "all",
    rates: "Figures",
    how: "Percent, with the interval in which the true share lies with 95 % (Wilson), and how many pictures were judged. The subject is told by the features of a classifier that was taught on drawings alone: whose drawings are most like the picture. Held-out combinations never occur in the training of our own nano model.",
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
      firstOfSeed: "первый из 48 исходной модели",
      background: "фон",
      count: "число",
      relation: "расположение",
      grid: "ровная сетка",
    },
    firstByColour: "первый из 100 по цвету",
    fiveByColour: "в первых 5 по цвету",
    byColour: "То же по простым цветам",
    judge: "Сам судья",
    drawings: "новые рисунки этих предметов",
    strangers: "они же, как если бы просили другой предмет",
    ownFigures: "классификатор на рисунках не из обучения",
    gridMedians: ({ pictures, filled, periodError, residual, tilt, alike }) =>
      `Сетки, медианы (${pictures}): заполнено ${filled} из 9 клеток, период неточен на ${(100 * periodError).toFixed(1)} %, середины на ${(100 * residual).toFixed(1)} % от него, наклон ${tilt.toFixed(1)} градуса, самая непохожая клетка похожа на среднюю на ${alike.toFixed(2)}.`,
    allLanguages: "все",
    rates: "Цифры",
    how: "Проценты с промежутком, где с вероятностью 95 % лежит истинная доля (Уилсон), и число оценённых картин. Предмет узнаётся по признакам классификатора, которого учили только на рисунках: чьи рисунки похожее всего. Непоказанные сочетания не встречаются при обучении нашей собственной модели nano.",
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
