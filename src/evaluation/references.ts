import {
  ARRANGEMENTS,
  type Background,
  composeScene,
  type Masters,
  type Placed,
  RELATIONS,
  type Relation,
  type SceneSpec,
  type StyleName,
  squareAt,
  TOWARDS,
} from "../scenes/mod.ts";
import { colourDistance, FEATURE_SIDE, type Features, featuresOf } from "./features.ts";

/** Drawings to compare pictures with: of what is drawn from masters, at the size of features. */
export interface References {
  readonly masters: Masters;
  readonly style: StyleName;
}

/** Where training places single subjects, and its neighbourhood: side and centre in units of the picture. */
const SIDES = [0.74, 0.82, 0.9];
/** Sides of subjects in pairs and groups. */
const PAIR_SIDES = [0.42, 0.45, 0.48];
const GROUP_SIDES = [0.38, 0.41, 0.44];

function draw(references: References, background: Background, subjects: readonly Placed[]): Features {
  const { masters, style } = references;
  const spec: SceneSpec = {
    kind: "single",
    style,
    background,
    subjects,
    relation: undefined,
    count: subjects.length,
    told: { style: true, white: true },
  };
  return featuresOf(composeScene(spec, masters, FEATURE_SIDE));
}

/** Every subject drawn alone on one background, at three sizes. */
export type SubjectBook = ReadonlyMap<string, readonly Features[]>;

/** Draws the subjects that pictures on one background are ranked by; make it once for many pictures. */
export function subjectBook(
  references: References,
  codes: readonly string[],
  background: Background,
): SubjectBook {
  const alone = (code: string) =>
    SIDES.map((side) => draw(references, background, [{ code, ...squareAt(0.5, 0.5, side) }]));
  return new Map(codes.map((code) => [code, alone(code)]));
}

/** Codes, the one that a picture is most like first. */
export type Ranking = readonly { readonly code: string }[];

/** The codes by rising colour distance between the picture and the subject, at the nearest of its sizes. */
export function rankSubjects(features: Features, book: SubjectBook, codes: readonly string[]): Ranking {
  return codes
    .map((code) => ({ code, distance: nearest(features, book.get(code)!) }))
    .sort((a, b) => a.distance - b.distance);
}

/** How many of the codes are nearer than the right one: 0 is first. */
export function rankOf(ranking: Ranking, code: string): number {
  return ranking.findIndex((one) => one.code === code);
}

/**
 * How many of the subject the picture shows, of 1 to 4: the number whose drawing in one of the arrangements of training
 * is nearest.
 */
export function countOf(
  features: Features,
  references: References,
  code: string,
  background: Background,
): number {
  const single = SIDES.map((side) => [{ code, ...squareAt(0.5, 0.5, side) }]);
  const groups = Object.entries(ARRANGEMENTS).map(([count, arrangements]) => ({
    count: Number(count),
    layouts: arrangements.flatMap((centres) =>
      GROUP_SIDES.map((side) => centres.map(([x, y]) => ({ code, ...squareAt(x, y, side) }))),
    ),
  }));
  return [{ count: 1, layouts: single }, ...groups]
    .map(({ count, layouts }) => ({
      count,
      distance: nearest(
        features,
        layouts.map((layout) => draw(references, background, layout)),
      ),
    }))
    .reduce((a, b) => (b.distance < a.distance ? b : a)).count;
}

/** How the first subject lies to the second: the relation whose drawing is nearest. */
export function relationOf(
  features: Features,
  references: References,
  [first, second]: readonly [string, string],
  background: Background,
): Relation {
  return RELATIONS.map((relation) => ({
    relation,
    distance: nearest(
      features,
      PAIR_SIDES.map((side) => {
        const [dx, dy] = TOWARDS[relation];
        return draw(references, background, [
          { code: first, ...squareAt(0.5 + 0.245 * dx, 0.5 + 0.245 * dy, side) },
          { code: second, ...squareAt(0.5 - 0.245 * dx, 0.5 - 0.245 * dy, side) },
        ]);
      }),
    ),
  })).reduce((a, b) => (b.distance < a.distance ? b : a)).relation;
}

function nearest(features: Features, drawings: readonly Features[]): number {
  return Math.min(...drawings.map((drawing) => colourDistance(features, drawing)));
}
