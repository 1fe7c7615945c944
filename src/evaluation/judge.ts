import type { Picture } from "../image/mod.ts";
import type { SceneSpec } from "../scenes/mod.ts";
import { backgroundOf } from "./background.ts";
import { featuresOf } from "./features.ts";
import { type GridFigures, gridFigures, isStraightGrid } from "./grid.ts";
import {
  countOf,
  type References,
  rankOf,
  rankSubjects,
  relationOf,
  type SubjectBook,
} from "./references.ts";

/** What a picture shows of what was asked for; undefined where nothing of the kind was asked. */
export interface Verdict {
  readonly background: boolean;
  /** Of a single subject: how many of the others are nearer. */
  readonly rank: number | undefined;
  readonly count: boolean | undefined;
  readonly relation: boolean | undefined;
  readonly grid: boolean | undefined;
  readonly figures: GridFigures | undefined;
}

/**
 * Judges a picture by the scene that was asked for. Subject, count and relation are told by 16x16 colour distance to
 * drawings in `references`; `others` are the codes that the right one is ranked among, itself included, and the book
 * holds them on the background asked for.
 */
export function judge(
  picture: Picture,
  spec: SceneSpec,
  references: References,
  book: SubjectBook,
  others: readonly string[],
): Verdict {
  const features = featuresOf(picture);
  const [first, second] = spec.subjects.map(({ code }) => code);
  const { background, kind } = spec;
  const figures = kind === "grid" ? gridFigures(picture) : undefined;
  return {
    background: backgroundOf(picture).name === background,
    rank: kind === "single" ? rankOf(rankSubjects(features, book, others), first!) : undefined,
    count: kind === "count" ? countOf(features, references, first!, background) === spec.count : undefined,
    relation:
      kind === "relation"
        ? relationOf(features, references, [first!, second!], background) === spec.relation
        : undefined,
    grid: figures === undefined ? undefined : isStraightGrid(figures),
    figures,
  };
}
