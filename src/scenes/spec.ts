import { clamp, KandinskyError } from "../base/mod.ts";
import { type Draws, drawsOf, type Key } from "../random/mod.ts";
import { type Background, COLOURED } from "./backgrounds.ts";
import { STYLES, type StyleName } from "./styles.ts";
import type { Subject } from "./subjects.ts";

/** How the first subject of a scene lies to the second. */
export const RELATIONS = ["left", "right", "above", "below"] as const;

/** One of `RELATIONS`. */
export type Relation = (typeof RELATIONS)[number];

/** What a scene is about. */
export type SceneKind = "single" | "relation" | "count" | "grid";

/** One drawn subject: a square in units of the picture's side. */
export interface Placed {
  readonly code: string;
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/** Everything that a picture shows, and enough to draw it again: plain data. */
export interface SceneSpec {
  readonly kind: SceneKind;
  readonly style: StyleName;
  readonly background: Background;
  readonly subjects: readonly Placed[];
  /** Of the first subject to the second, in scenes of that kind. */
  readonly relation: Relation | undefined;
  /** How many subjects: 1, 2 in a relation, 2 to 4, or 9. */
  readonly count: number;
  /** Whether captions name style and white background; a coloured one is always named. */
  readonly told: { readonly style: boolean; readonly white: boolean };
}

/** Which scenes may be drawn: what training sees, or what is kept from it. */
export const SPLITS = ["train", "held-out-subjects", "held-out-combinations"] as const;

/** One of `SPLITS`. */
export type Split = (typeof SPLITS)[number];

/** The mixture. Weights need not add up to 1. */
export interface SceneOptions {
  readonly split: Split;
  readonly kinds: Readonly<Record<SceneKind, number>>;
  readonly styles: Readonly<Partial<Record<StyleName, number>>>;
  /** How single subjects lie: least and most of their side, and how far from the middle, in units of the picture. */
  readonly alone: { readonly side: readonly [number, number]; readonly shift: number };
  /** Part of the scenes on white; the rest shares the twelve colours. */
  readonly white: number;
  /** Part of the captions that name the style. */
  readonly tellStyle: number;
}

/** What nano is trained on. Two styles: each further one takes showings away from every subject. */
export const NANO_SCENES: SceneOptions = {
  split: "train",
  kinds: { single: 0.55, relation: 0.2, count: 0.15, grid: 0.1 },
  styles: { noto: 0.7, flat: 0.3 },
  alone: { side: [0.72, 0.92], shift: 0.03 },
  white: 0.4,
  tellStyle: 0.75,
};

/** One in so many pairs of subjects, and of subject and coloured background, is kept from training. */
const HELD_OUT_SHARE = 20;

/** Whether two subjects never meet in training, whichever comes first. */
export function isHeldOutPair(a: string, b: string): boolean {
  return hash([a, b].sort().join("+")) % HELD_OUT_SHARE === 0;
}

/** Whether a subject is never shown on this background in training; white is never held out. */
export function isHeldOutBackground(code: string, background: Background): boolean {
  return background !== "white" && hash(`${code}@${background}`) % HELD_OUT_SHARE === 0;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/**
 * The scene of a key: the same on every machine. Of the split `held-out-combinations` every relation is a held-out
 * pair and every other scene stands on a background held out for its subject. Throws `option_invalid` where the subjects
 * hold nothing of the kind, as a list of one holds no pair.
 */
export function drawSpec(key: Key, subjects: readonly Subject[], options: SceneOptions): SceneSpec {
  const draws = drawsOf(key);
  const { split, kinds, styles, alone, white, tellStyle } = options;
  const kind = draws.pick(Object.keys(kinds) as SceneKind[], (name) => kinds[name]);
  const style = draws.pick(
    (Object.keys(STYLES) as StyleName[]).filter((name) => (styles[name] ?? 0) > 0),
    (name) => styles[name]!,
  );
  const pool = subjects.filter((subject) => subject.heldOut === (split === "held-out-subjects"));
  const relation = kind === "relation" ? draws.pick(RELATIONS) : undefined;
  const isKept = split === "held-out-combinations";
  const codes = relation === undefined ? [drawAlone(draws, pool, isKept)] : drawPair(draws, pool, isKept);
  const background = drawBackground(draws, codes, isKept && relation === undefined, white);
  const count = kind === "count" ? draws.whole(2, 4) : kind === "grid" ? 9 : codes.length;
  const places = PLACES[kind](draws, { count, relation, alone });
  return {
    kind,
    style,
    background,
    subjects: places.map((place, i) => ({ code: codes[i] ?? codes[0]!, ...place })),
    relation,
    count,
    told: { style: draws.chance(tellStyle), white: draws.chance(0.3) },
  };
}

function drawAlone(draws: Draws, pool: readonly Subject[], isKept: boolean): string {
  const fitting = isKept
    ? pool.filter(({ code }) => COLOURED.some((name) => isHeldOutBackground(code, name)))
    : pool;
  if (fitting.length === 0) throw nothingToDraw("subject");
  return draws.pick(fitting).code;
}

function drawPair(draws: Draws, pool: readonly Subject[], isKept: boolean): string[] {
  if (pool.length === 0) throw nothingToDraw("subject");
  const partnersOf = (first: string) =>
    pool.filter(({ code }) => code !== first && isHeldOutPair(first, code) === isKept);
  let first = draws.pick(pool).code;
  let partners = partnersOf(first);
  if (partners.length === 0) {
    // In a short list a subject may have none; looking through all of them is left for that case.
    const paired = pool.filter(({ code }) => partnersOf(code).length > 0);
    if (paired.length === 0) throw nothingToDraw("pair of subjects");
    first = draws.pick(paired).code;
    partners = partnersOf(first);
  }
  return [first, draws.pick(partners).code];
}

function nothingToDraw(what: string): KandinskyError {
  return new KandinskyError("option_invalid", {
    what: "the list of subjects has nothing for this kind of scene",
    seen: `no ${what} of this split`,
    hint: "take a longer list, another split, or give this kind of scene no weight",
  });
}

function drawBackground(draws: Draws, codes: readonly string[], heldOut: boolean, white: number): Background {
  const isWhite = draws.chance(white);
  const fitting = COLOURED.filter(
    (name) => codes.some((code) => isHeldOutBackground(code, name)) === heldOut,
  );
  return fitting.length === 0 || (isWhite && !heldOut) ? "white" : draws.pick(fitting);
}

type Place = Omit<Placed, "code">;

interface Arranged extends Pick<SceneSpec, "count" | "relation">, Pick<SceneOptions, "alone"> {}

const PLACES: Readonly<Record<SceneKind, (draws: Draws, how: Arranged) => Place[]>> = {
  single: (draws, { alone }) => {
    const side = draws.uniform(...alone.side);
    const middle = () => 0.5 + draws.uniform(-alone.shift, alone.shift);
    return [squareAt(middle(), middle(), side)];
  },
  relation: (draws, { relation }) => {
    const side = draws.uniform(0.42, 0.48);
    const across = draws.uniform(-0.06, 0.06);
    const [dx, dy] = TOWARDS[relation!];
    return [1, -1].map((sign) =>
      squareAt(
        0.5 + sign * 0.245 * dx + (dx === 0 ? across : 0),
        0.5 + sign * 0.245 * dy + (dy === 0 ? across : 0),
        side,
      ),
    );
  },
  count: (draws, { count }) => {
    const side = draws.uniform(0.38, 0.44);
    const arrangement = draws.pick(ARRANGEMENTS[count]!);
    return arrangement.map(([x, y]) =>
      squareAt(x + draws.uniform(-0.015, 0.015), y + draws.uniform(-0.015, 0.015), side),
    );
  },
  grid: (draws) => {
    const side = draws.uniform(0.26, 0.31);
    return Array.from({ length: 9 }, (_, i) =>
      squareAt(((i % 3) + 0.5) / 3, (Math.floor(i / 3) + 0.5) / 3, side),
    );
  },
};

/** From the second subject to the first. */
export const TOWARDS: Readonly<Record<Relation, readonly [number, number]>> = {
  left: [-1, 0],
  right: [1, 0],
  above: [0, -1],
  below: [0, 1],
};

/** Centres for two, three and four of a kind, in units of the picture's side. */
export const ARRANGEMENTS: Readonly<Record<number, readonly (readonly (readonly [number, number])[])[]>> = {
  2: [
    [
      [0.26, 0.5],
      [0.74, 0.5],
    ],
    [
      [0.5, 0.26],
      [0.5, 0.74],
    ],
    [
      [0.27, 0.27],
      [0.73, 0.73],
    ],
  ],
  3: [
    [
      [0.5, 0.26],
      [0.26, 0.74],
      [0.74, 0.74],
    ],
    [
      [0.26, 0.26],
      [0.74, 0.26],
      [0.5, 0.74],
    ],
  ],
  4: [
    [
      [0.26, 0.26],
      [0.74, 0.26],
      [0.26, 0.74],
      [0.74, 0.74],
    ],
  ],
};

/** One subject in the middle of a picture of one colour; captions name style, and not white. */
export function aloneSpec(code: string, style: StyleName, background: Background, side: number): SceneSpec {
  return {
    kind: "single",
    style,
    background,
    subjects: [{ code, ...squareAt(0.5, 0.5, side) }],
    relation: undefined,
    count: 1,
    told: { style: true, white: false },
  };
}

/** A square about a centre, moved so that it lies in the picture. */
export function squareAt(x: number, y: number, side: number): Place {
  const half = side / 2;
  return { left: clamp(x, half, 1 - half) - half, top: clamp(y, half, 1 - half) - half, side };
}
