import type { Picture } from "../image/mod.ts";
import type { SceneSpec } from "../scenes/mod.ts";
import { backgroundOf } from "./background.ts";
import { type Features, featuresOf } from "./features.ts";
import { type GridFigures, gridFigures, isStraightGrid } from "./grid.ts";
import {
  countOf,
  type References,
  rankOf,
  rankSubjects,
  relationOf,
  type SubjectBook,
} from "./references.ts";

/** The codes that a subject is ranked among, itself included. */
export interface Others {
  /** A hundred of all that there are drawings of. */
  readonly hundred: readonly string[];
  /** The model's own list. */
  readonly own: readonly string[];
}

/** How many of the others are nearer to the picture than the right one: 0 is first. */
export interface Ranks {
  readonly hundred: number;
  readonly own: number;
  /** The nearest of all. */
  readonly nearest: string;
}

/** What a picture shows of what was asked for; undefined where nothing of the kind was asked. */
export interface Verdict {
  readonly background: boolean;
  /** Of a single subject. */
  readonly ranks: Ranks | undefined;
  readonly count: boolean | undefined;
  readonly relation: boolean | undefined;
  readonly grid: boolean | undefined;
  readonly figures: GridFigures | undefined;
}

/**
 * Judges a picture by the scene that was asked for. Subject, count and relation are told by 16x16 colour distance to
 * drawings in `references`; the book holds the `others` on the background asked for.
 */
export function judge(
  picture: Picture,
  spec: SceneSpec,
  references: References,
  book: SubjectBook,
  others: Others,
): Verdict {
  const features = featuresOf(picture);
  const [first, second] = spec.subjects.map(({ code }) => code);
  const { background, kind } = spec;
  const figures = kind === "grid" ? gridFigures(picture) : undefined;
  return {
    background: backgroundOf(picture).name === background,
    ranks: kind === "single" ? ranksOf(features, book, others, first!) : undefined,
    count: kind === "count" ? countOf(features, references, first!, background) === spec.count : undefined,
    relation:
      kind === "relation"
        ? relationOf(features, references, [first!, second!], background) === spec.relation
        : undefined,
    grid: figures === undefined ? undefined : isStraightGrid(figures),
    figures,
  };
}

function ranksOf(features: Features, book: SubjectBook, { hundred, own }: Others, right: string): Ranks {
  const ranking = rankSubjects(features, book, [...new Set([...hundred, ...own])]);
  const among = (codes: readonly string[]) => {
    const some = new Set(codes);
    return rankOf(
      ranking.filter(({ code }) => some.has(code)),
      right,
    );
  };
  return { hundred: among(hundred), own: among(own), nearest: ranking[0]!.code };
}
