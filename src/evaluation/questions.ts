import { foldIn, type Key, keyOf } from "../random/mod.ts";
import {
  aloneSpec,
  COLOURED,
  drawSpec,
  isHeldOutBackground,
  isHeldOutPair,
  type Language,
  NANO_SCENES,
  promptOf,
  type SceneKind,
  type SceneSpec,
  type Split,
  type Subject,
} from "../scenes/mod.ts";
import type { Others, Ranks, Verdict } from "./judge.ts";
import { type Rate, rateOf } from "./rate.ts";

/** One root for everything that evaluations draw, so that all models are asked the same. */
export const EVALUATION_ROOT = keyOf(20231122);

/** What a model is asked, and what its picture is judged by. */
export interface Question {
  readonly group: Group;
  readonly language: Language;
  readonly prompt: string;
  /** Seed of the picture. */
  readonly seed: number;
  readonly spec: SceneSpec;
}

interface Asked {
  readonly kind: SceneKind;
  readonly split: Split;
  /** Whether every picture has a coloured background. */
  readonly coloured: boolean;
}

/** Groups of questions besides `subject`, each a kind of scene. */
const ASKED = {
  background: { kind: "single", split: "train", coloured: true },
  count: { kind: "count", split: "train", coloured: false },
  relation: { kind: "relation", split: "train", coloured: false },
  grid: { kind: "grid", split: "train", coloured: false },
  "held-out background": { kind: "single", split: "held-out-combinations", coloured: true },
  "held-out pair": { kind: "relation", split: "held-out-combinations", coloured: false },
} as const satisfies Readonly<Record<string, Asked>>;

/** Every group of questions. */
export type Group = "subject" | keyof typeof ASKED;

/** The names of all groups. */
export const GROUPS: readonly Group[] = ["subject", ...(Object.keys(ASKED) as (keyof typeof ASKED)[])];

export interface QuestionOptions {
  /** The model's subjects. */
  readonly subjects: readonly Subject[];
  /** Those of them that are asked for alone. */
  readonly alone: readonly Subject[];
  readonly languages: readonly Language[];
  /** One picture of every subject in every language for each. */
  readonly seeds: readonly number[];
  /** Scenes of every other group, shared out among the languages in turn. */
  readonly scenes: number;
  readonly key: Key;
}

/**
 * The questions of an evaluation: subjects alone on white, in their own style, in every language and with every seed;
 * and scenes of each other group that the list has something for, in the styles of the list.
 */
export function questionsOf(options: QuestionOptions): Question[] {
  const { subjects, languages, seeds, scenes, key } = options;
  const byCode = new Map(subjects.map((subject) => [subject.code, subject]));
  const ask = (group: Group, language: Language, seed: number, spec: SceneSpec): Question => ({
    ...{ group, language, seed, spec },
    prompt: promptOf(spec, byCode, language),
  });
  const alone = languages.flatMap((language) =>
    seeds.flatMap((seed) =>
      options.alone.map((subject) =>
        ask("subject", language, seed, aloneSpec(subject.code, subject.style, "white", 0.82)),
      ),
    ),
  );
  const styles = Object.fromEntries(subjects.map(({ style }) => [style, 1]));
  const others = Object.entries(ASKED).flatMap(([group, { kind, split, coloured }], g) =>
    Array.from({ length: hasScenes({ kind, split }, subjects) ? scenes : 0 }, (_, i) => {
      const kinds = { single: 0, relation: 0, count: 0, grid: 0, [kind]: 1 };
      const options = {
        ...NANO_SCENES,
        split,
        kinds,
        styles,
        tellStyle: 1,
        ...(coloured ? { white: 0 } : {}),
      };
      const spec = drawSpec(foldIn(foldIn(key, g), i), subjects, options);
      return ask(group as Group, languages[i % languages.length]!, seeds[i % seeds.length]!, spec);
    }),
  );
  return [...alone, ...others];
}

/** Whether a list, which may be short, has a scene of the kind. */
export function hasScenes(
  { kind, split }: Pick<Asked, "kind" | "split">,
  subjects: readonly Subject[],
): boolean {
  const isHeldOut = split === "held-out-combinations";
  if (kind !== "relation") {
    return (
      !isHeldOut || subjects.some(({ code }) => COLOURED.some((name) => isHeldOutBackground(code, name)))
    );
  }
  return subjects.some(({ code }, i) =>
    subjects.slice(0, i).some((other) => isHeldOutPair(code, other.code) === isHeldOut),
  );
}

/** A question with what its picture showed. */
export interface Answered {
  readonly question: Question;
  readonly verdict: Verdict;
}

/** How often the right subject was found, of scenes with one subject. */
export interface Retrieval {
  /** Nearest, and among the nearest five, of a hundred. */
  readonly first: Rate;
  readonly five: Rate;
  /** The same, of the model's own list. */
  readonly firstOfOwn: Rate;
  readonly fiveOfOwn: Rate;
  /** Nearest of the seed model's subjects, where it is one of them. */
  readonly firstOfSeed: Rate;
}

/** What the answers to a group of questions in one language come to. */
export interface Summary {
  readonly group: Group;
  /** `all` joins the languages. */
  readonly language: Language | "all";
  /** By the features of the classifier. */
  readonly features: Retrieval;
  /** By 16x16 colour distance. */
  readonly colours: Retrieval;
  readonly background: Rate;
  readonly count: Rate;
  readonly relation: Rate;
  readonly grid: Rate;
}

/** Rates by group and language, and of each group over all languages. */
export function summarise(answers: readonly Answered[]): Summary[] {
  return GROUPS.flatMap((group) => {
    const mine = answers.filter(({ question }) => question.group === group);
    const languages = [...new Set(mine.map(({ question }) => question.language))];
    const rows: (Language | "all")[] = mine.length === 0 ? [] : ["all", ...languages];
    return rows.map((language) => {
      const verdicts = mine
        .filter(({ question }) => language === "all" || question.language === language)
        .map(({ verdict }) => verdict);
      return {
        group,
        language,
        features: retrievalOf(verdicts.map(({ ranks }) => ranks?.features)),
        colours: retrievalOf(verdicts.map(({ ranks }) => ranks?.colours)),
        background: rateOf(verdicts.map(({ background }) => background)),
        count: rateOf(verdicts.map(({ count }) => count)),
        relation: rateOf(verdicts.map(({ relation }) => relation)),
        grid: rateOf(verdicts.map(({ grid }) => grid)),
      };
    });
  });
}

/** What ranks come to; undefined where no single subject was asked for. */
export function retrievalOf(ranks: readonly (Ranks | undefined)[]): Retrieval {
  const within = (limit: number, others: keyof Others) =>
    rateOf(
      ranks.map((one) => {
        const rank = one?.[others];
        return rank === undefined ? undefined : rank < limit;
      }),
    );
  return {
    first: within(1, "hundred"),
    five: within(5, "hundred"),
    firstOfOwn: within(1, "own"),
    fiveOfOwn: within(5, "own"),
    firstOfSeed: within(1, "seed"),
  };
}
