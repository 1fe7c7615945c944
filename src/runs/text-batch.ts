import { drawsOf, foldIn, type Key } from "../random/mod.ts";
import {
  BACKGROUNDS,
  type Caption,
  drawCaption,
  drawSpec,
  type Language,
  NANO_CAPTIONS,
  NANO_SCENES,
  RELATIONS,
  type SceneSpec,
  type Split,
  STYLES,
  type Subject,
} from "../scenes/mod.ts";
import { float32, type Tensor, tensor } from "../tensor/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { Head } from "./text-graph.ts";

/** A caption and what is right about it: the class of each head, in their order. */
export interface LabelledCaption {
  readonly caption: Caption;
  readonly classes: readonly number[];
}

interface Question {
  readonly name: string;
  readonly classes: (codes: readonly string[]) => number;
  /** The right class of a scene; `places` gives each subject's. */
  readonly right: (spec: SceneSpec, places: ReadonlyMap<string, number>) => number;
}

/** One subject, four relations, two to four of a kind, a grid. */
const ARRANGEMENTS = ["1", ...RELATIONS, "2", "3", "4", "9"];
const BACKGROUND_NAMES = Object.keys(BACKGROUNDS);
/** A style that is not told comes first. */
const STYLE_NAMES = ["", ...Object.keys(STYLES)];

/** What is asked of a caption. A second subject that is not there is class 0. */
const QUESTIONS: readonly Question[] = [
  {
    name: "subject",
    classes: (codes) => codes.length,
    right: ({ subjects }, places) => places.get(subjects[0]!.code)!,
  },
  {
    name: "second subject",
    classes: (codes) => codes.length + 1,
    right: ({ subjects, relation }, places) =>
      relation === undefined ? 0 : 1 + places.get(subjects[1]!.code)!,
  },
  {
    name: "arrangement",
    classes: () => ARRANGEMENTS.length,
    right: ({ relation, count }) => ARRANGEMENTS.indexOf(relation ?? `${count}`),
  },
  {
    name: "background",
    classes: () => BACKGROUND_NAMES.length,
    right: ({ background }) => BACKGROUND_NAMES.indexOf(background),
  },
  {
    name: "style",
    classes: () => STYLE_NAMES.length,
    right: ({ style, told }) => STYLE_NAMES.indexOf(told.style ? style : ""),
  },
];

/** The heads for subjects of these codes. */
export function headsOf(codes: readonly string[]): Head[] {
  return QUESTIONS.map(({ name, classes }) => ({ name, classes: classes(codes) }));
}

/** What captions are drawn of: subjects that may be shown, and how often each language. */
export interface CaptionSource {
  readonly subjects: readonly Subject[];
  readonly languages: Readonly<Partial<Record<Language, number>>>;
  readonly split: Split;
}

/** Draws scenes and their captions from keys, without a picture. */
export interface CaptionDrawer {
  /** Two captions of one scene in two languages. */
  pair(key: Key): readonly [LabelledCaption, LabelledCaption];
  /** One caption in one language. */
  single(key: Key, language: Language): LabelledCaption;
}

/** Opens a source of captions. Classes count the subjects that training shows, in the order of the list. */
export function openCaptions({ subjects, languages, split }: CaptionSource): CaptionDrawer {
  const byCode = new Map(subjects.map((subject) => [subject.code, subject]));
  const places = new Map(shownCodes(subjects).map((code, i) => [code, i]));
  const names = (Object.keys(languages) as Language[]).filter((name) => languages[name]! > 0);
  const specOf = (key: Key) => drawSpec(foldIn(key, SPEC), subjects, { ...NANO_SCENES, split });
  const captionOf = (key: Key, spec: SceneSpec, language: Language): LabelledCaption => ({
    caption: drawCaption(key, spec, byCode, { ...NANO_CAPTIONS, languages: { [language]: 1 } }),
    classes: QUESTIONS.map(({ right }) => right(spec, places)),
  });
  return {
    pair(key) {
      const spec = specOf(key);
      const draws = drawsOf(foldIn(key, LANGUAGES));
      const first = draws.pick(names, (name) => languages[name]!);
      const others = names.filter((name) => name !== first);
      const second = others.length === 0 ? first : draws.pick(others, (name) => languages[name]!);
      return [captionOf(foldIn(key, FIRST), spec, first), captionOf(foldIn(key, SECOND), spec, second)];
    },
    single: (key, language) => captionOf(foldIn(key, FIRST), specOf(key), language),
  };
}

/** The subjects that training shows. */
export function shownCodes(subjects: readonly Subject[]): string[] {
  return subjects.filter(({ heldOut }) => !heldOut).map(({ code }) => code);
}

/** Uses of a caption's key. */
const SPEC = 0;
const LANGUAGES = 1;
const FIRST = 2;
const SECOND = 3;

/** Added to the scores of padding. */
const MASKED = -1e9;

/** The inputs of `textEncoderGraph` for these captions, cut or padded to `length` tokens. */
export function textFeeds(
  captions: readonly LabelledCaption[],
  tokenizer: Tokenizer,
  length: number,
): Record<string, Tensor> {
  const rows = captions.length;
  const questions = captions[0]!.classes.length;
  const ids = new BigInt64Array(rows * length);
  const mask = new Float32Array(rows * length);
  const pool = new Float32Array(rows * length);
  const classes = new Float32Array(rows * questions);
  for (const [row, { caption, classes: right }] of captions.entries()) {
    const tokens = tokenizer.encode(caption.text, length).ids;
    ids.set(tokens.map(BigInt), row * length);
    mask.fill(MASKED, row * length + tokens.length, (row + 1) * length);
    pool.fill(1 / tokens.length, row * length, row * length + tokens.length);
    classes.set(right, row * questions);
  }
  return {
    ids: tensor("int64", [rows, length], ids),
    pool_weights: float32([rows, 1, length], pool),
    classes: float32([rows, questions], classes),
    mask_bias: float32([rows, 1, 1, length], mask),
  };
}
