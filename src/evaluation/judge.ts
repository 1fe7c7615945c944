import type { Picture } from "../image/mod.ts";
import type { SceneSpec } from "../scenes/mod.ts";
import { backgroundOf } from "./background.ts";
import { featuresOf } from "./features.ts";
import { type GridFigures, gridFigures, isStraightGrid } from "./grid.ts";
import { countOf, type Ranking, type References, rankOf, relationOf } from "./references.ts";

/** The codes that a subject is ranked among, itself included. */
export interface Others {
  /** A hundred of all that there are drawings of. */
  readonly hundred: readonly string[];
  /** The model's own list. */
  readonly own: readonly string[];
  /** The seed model's list. */
  readonly seed: readonly string[];
}

/** How many of the others are nearer to the picture than the right one: 0 is first. */
export interface Ranks {
  readonly hundred: number;
  readonly own: number;
  /** Undefined for a subject that is none of the seed model's. */
  readonly seed: number | undefined;
  /** The nearest of all. */
  readonly nearest: string;
}

/** What a picture of one subject is like, told in two ways. */
export interface Told<T> {
  /** By the features of the classifier. */
  readonly features: T;
  /** By 16x16 colour distance. */
  readonly colours: T;
}

/** What a picture shows of what was asked for; undefined where nothing of the kind was asked. */
export interface Verdict {
  readonly background: boolean;
  /** Of a single subject. */
  readonly ranks: Told<Ranks> | undefined;
  readonly count: boolean | undefined;
  readonly relation: boolean | undefined;
  readonly grid: boolean | undefined;
  readonly figures: GridFigures | undefined;
}

/**
 * Judges a picture by the scene that was asked for. Count and relation are told by 16x16 colour distance to drawings in
 * `references`; of a single subject, `rankings` say what the picture is like, of all `others`.
 */
export function judge(
  picture: Picture,
  spec: SceneSpec,
  references: References,
  rankings: Told<Ranking> | undefined,
  others: Others,
): Verdict {
  const features = featuresOf(picture);
  const [first, second] = spec.subjects.map(({ code }) => code);
  const { background, kind } = spec;
  const figures = kind === "grid" ? gridFigures(picture) : undefined;
  return {
    background: backgroundOf(picture).name === background,
    ranks:
      rankings === undefined
        ? undefined
        : {
            features: ranksOf(rankings.features, others, first!),
            colours: ranksOf(rankings.colours, others, first!),
          },
    count: kind === "count" ? countOf(features, references, first!, background) === spec.count : undefined,
    relation:
      kind === "relation"
        ? relationOf(features, references, [first!, second!], background) === spec.relation
        : undefined,
    grid: figures === undefined ? undefined : isStraightGrid(figures),
    figures,
  };
}

/** Where the right one comes among each of the others. */
export function ranksOf(ranking: Ranking, { hundred, own, seed }: Others, right: string): Ranks {
  const among = (codes: readonly string[]) => {
    const some = new Set(codes);
    return rankOf(
      ranking.filter(({ code }) => some.has(code)),
      right,
    );
  };
  return {
    hundred: among(hundred),
    own: among(own),
    seed: seed.includes(right) ? among(seed) : undefined,
    nearest: ranking[0]!.code,
  };
}
