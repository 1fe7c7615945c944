import type { Language } from "./languages.ts";

/**
 * How each language says where things are and how many. Slots: `{a}` and `{b}` are names as they stand in the
 * list; `{b:genitive}`, `{a:plural}`, `{a:two}` (with the numeral), `{a:few}`, `{a:an}` and `{b:de}` are forms
 * of them. A line that asks for a form which a name has not is passed over. Where a language would decline the
 * names, its lines are built so that they need not be ("links A, rechts B").
 */
export interface Phrases {
  readonly single: readonly string[];
  readonly left: readonly string[];
  readonly right: readonly string[];
  readonly above: readonly string[];
  readonly below: readonly string[];
  /** For two, three and four. */
  readonly counts: readonly [readonly string[], readonly string[], readonly string[]];
  readonly grid: readonly string[];
  /** Between parts of a list. */
  readonly comma: string;
}

/** Lines for the four relations of languages that say them alike: `A LEFT B` and `A LEFT, B RIGHT`. */
function sides(
  comma: string,
  between: readonly [string, string, string, string] | undefined,
  places: readonly [string, string, string, string],
  order: "after" | "before" | "both",
  b = "{b}",
): Pick<Phrases, "left" | "right" | "above" | "below"> {
  const [left, right, above, below] = places;
  const pairs = [
    [left, right],
    [right, left],
    [above, below],
    [below, above],
  ] as const;
  const lines = pairs.map(([here, there], i) => [
    ...(between === undefined ? [] : [`{a} ${between[i]} ${b}`]),
    ...(order === "before" ? [] : [`{a} ${here}${comma}{b} ${there}`]),
    ...(order === "after" ? [] : [`${here} {a}${comma}${there} {b}`]),
  ]);
  return { left: lines[0]!, right: lines[1]!, above: lines[2]!, below: lines[3]! };
}

/** `A, zwei Stück` and its like. */
function pieces(comma: string, two: string, three: string, four: string): Phrases["counts"] {
  return [[`{a}${comma}${two}`], [`{a}${comma}${three}`], [`{a}${comma}${four}`]];
}

/** Everything but names, backgrounds and styles, by language. */
export const PHRASES: Readonly<Record<Language, Phrases>> = {
  en: {
    single: ["{a}", "{a:an}"],
    left: [
      "{a} to the left of {b}",
      "{a:an} to the left of {b:an}",
      "{a} left of {b}",
      "{a} on the left, {b} on the right",
    ],
    right: [
      "{a} to the right of {b}",
      "{a:an} to the right of {b:an}",
      "{a} right of {b}",
      "{a} on the right, {b} on the left",
    ],
    above: ["{a} above {b}", "{a:an} above {b:an}", "{a} at the top, {b} at the bottom"],
    below: ["{a} below {b}", "{a:an} below {b:an}", "{a} at the bottom, {b} at the top"],
    counts: [
      ["two {a:plural}", "2 {a:plural}", "{a}, two"],
      ["three {a:plural}", "3 {a:plural}", "{a}, three"],
      ["four {a:plural}", "4 {a:plural}", "{a}, four"],
    ],
    grid: ["{a}, 3x3 grid", "3x3 grid of {a:plural}", "a grid of nine {a:plural}"],
    comma: ", ",
  },
  ru: {
    single: ["{a}"],
    left: ["{a} слева от {b:genitive}", "{a} слева, {b} справа", "слева {a}, справа {b}"],
    right: ["{a} справа от {b:genitive}", "{a} справа, {b} слева", "справа {a}, слева {b}"],
    above: ["{a} выше {b:genitive}", "{a} сверху, {b} снизу", "сверху {a}, снизу {b}"],
    below: ["{a} ниже {b:genitive}", "{a} снизу, {b} сверху", "снизу {a}, сверху {b}"],
    counts: [
      ["{a:two}", "{a}, две штуки"],
      ["три {a:few}", "{a}, три штуки"],
      ["четыре {a:few}", "{a}, четыре штуки"],
    ],
    grid: ["{a}, сетка 3x3", "сетка 3x3: {a}"],
    comma: ", ",
  },
  de: {
    single: ["{a}"],
    ...sides(", ", undefined, ["links", "rechts", "oben", "unten"], "both"),
    counts: pieces(", ", "zwei Stück", "drei Stück", "vier Stück"),
    grid: ["{a}, Raster 3x3"],
    comma: ", ",
  },
  fr: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["à gauche", "à droite", "au-dessus", "en dessous"],
      ["à gauche", "à droite", "en haut", "en bas"],
      "after",
      "{b:de}",
    ),
    counts: pieces(", ", "deux exemplaires", "trois exemplaires", "quatre exemplaires"),
    grid: ["{a}, grille 3x3"],
    comma: ", ",
  },
  es: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["a la izquierda de", "a la derecha de", "encima de", "debajo de"],
      ["a la izquierda", "a la derecha", "arriba", "abajo"],
      "after",
    ),
    counts: pieces(", ", "dos unidades", "tres unidades", "cuatro unidades"),
    grid: ["{a}, cuadrícula 3x3"],
    comma: ", ",
  },
  it: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["a sinistra di", "a destra di", "sopra", "sotto"],
      ["a sinistra", "a destra", "in alto", "in basso"],
      "after",
    ),
    counts: pieces(", ", "due pezzi", "tre pezzi", "quattro pezzi"),
    grid: ["{a}, griglia 3x3"],
    comma: ", ",
  },
  pt: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["à esquerda de", "à direita de", "acima de", "abaixo de"],
      ["à esquerda", "à direita", "em cima", "embaixo"],
      "after",
    ),
    counts: pieces(", ", "duas unidades", "três unidades", "quatro unidades"),
    grid: ["{a}, grade 3x3"],
    comma: ", ",
  },
  pl: {
    single: ["{a}"],
    ...sides(", ", undefined, ["po lewej", "po prawej", "u góry", "u dołu"], "both"),
    counts: pieces(", ", "dwie sztuki", "trzy sztuki", "cztery sztuki"),
    grid: ["{a}, siatka 3x3"],
    comma: ", ",
  },
  uk: {
    single: ["{a}"],
    ...sides(", ", undefined, ["ліворуч", "праворуч", "вгорі", "внизу"], "both"),
    counts: pieces(", ", "дві штуки", "три штуки", "чотири штуки"),
    grid: ["{a}, сітка 3x3"],
    comma: ", ",
  },
  zh: {
    single: ["{a}"],
    left: ["{a}在{b}的左边", "左边是{a}，右边是{b}"],
    right: ["{a}在{b}的右边", "右边是{a}，左边是{b}"],
    above: ["{a}在{b}的上面", "上面是{a}，下面是{b}"],
    below: ["{a}在{b}的下面", "下面是{a}，上面是{b}"],
    counts: [["两个{a}"], ["三个{a}"], ["四个{a}"]],
    grid: ["{a}，3x3网格"],
    comma: "，",
  },
  ja: {
    single: ["{a}"],
    left: ["{b}の左に{a}", "左に{a}、右に{b}"],
    right: ["{b}の右に{a}", "右に{a}、左に{b}"],
    above: ["{b}の上に{a}", "上に{a}、下に{b}"],
    below: ["{b}の下に{a}", "下に{a}、上に{b}"],
    counts: [
      ["{a}が二つ", "二つの{a}"],
      ["{a}が三つ", "三つの{a}"],
      ["{a}が四つ", "四つの{a}"],
    ],
    grid: ["{a}、3x3の格子"],
    comma: "、",
  },
  ko: {
    single: ["{a}"],
    left: ["{b} 왼쪽에 {a}", "왼쪽에 {a}, 오른쪽에 {b}"],
    right: ["{b} 오른쪽에 {a}", "오른쪽에 {a}, 왼쪽에 {b}"],
    above: ["{b} 위에 {a}", "위에 {a}, 아래에 {b}"],
    below: ["{b} 아래에 {a}", "아래에 {a}, 위에 {b}"],
    counts: [["{a} 두 개"], ["{a} 세 개"], ["{a} 네 개"]],
    grid: ["{a}, 3x3 격자"],
    comma: ", ",
  },
  hi: {
    single: ["{a}"],
    ...sides(", ", undefined, ["बाईं ओर", "दाईं ओर", "ऊपर", "नीचे"], "before"),
    counts: pieces(", ", "दो", "तीन", "चार"),
    grid: ["{a}, 3x3 ग्रिड"],
    comma: ", ",
  },
  sv: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["till vänster om", "till höger om", "ovanför", "nedanför"],
      ["till vänster", "till höger", "överst", "underst"],
      "after",
    ),
    counts: pieces(", ", "två stycken", "tre stycken", "fyra stycken"),
    grid: ["{a}, rutnät 3x3"],
    comma: ", ",
  },
  nl: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["links van", "rechts van", "boven", "onder"],
      ["links", "rechts", "boven", "onder"],
      "after",
    ),
    counts: pieces(", ", "twee stuks", "drie stuks", "vier stuks"),
    grid: ["{a}, raster 3x3"],
    comma: ", ",
  },
  da: {
    single: ["{a}"],
    ...sides(
      ", ",
      ["til venstre for", "til højre for", "over", "under"],
      ["til venstre", "til højre", "øverst", "nederst"],
      "after",
    ),
    counts: pieces(", ", "to styk", "tre styk", "fire styk"),
    grid: ["{a}, gitter 3x3"],
    comma: ", ",
  },
};
