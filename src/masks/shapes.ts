import type { Draws } from "../random/mod.ts";
import type { Maker } from "./maker.ts";
import { type Layer, type Point, point, rounded, type Size } from "./spec.ts";
import { boxAt } from "./strokes.ts";

/*
 * Selections that people draw in tools of generative fill. Their distribution is unpublished: these are stand-ins,
 * with areas spread evenly over FILL_AREA.
 */

/** Parts of the picture's area. */
export const FILL_AREA = [0.05, 0.5] as const;

/** Width and height of a box with an area drawn from FILL_AREA, times `share`; up to twice as long as wide. */
function drawSides(draws: Draws, size: Size, share: number): Point {
  const area = (draws.uniform(...FILL_AREA) / share) * size.width * size.height;
  const aspect = Math.exp(draws.uniform(-Math.LN2, Math.LN2));
  const width = Math.min(Math.max(Math.sqrt(area * aspect), area / size.height), size.width);
  return [width, Math.min(area / width, size.height)];
}

/** The middle of something of these sides that lies inside of the picture. */
function drawMiddle(draws: Draws, size: Size, [width, height]: Point): Point {
  return [
    draws.uniform(width / 2, Math.max(size.width - width / 2, width / 2)),
    draws.uniform(height / 2, Math.max(size.height - height / 2, height / 2)),
  ];
}

export const ellipse: Maker = (draws, size) => {
  const sides = drawSides(draws, size, Math.PI / 4);
  const center = drawMiddle(draws, size, sides);
  return [{ shape: "ellipse", center: point(...center), radii: point(sides[0] / 2, sides[1] / 2) }];
};

export const roundedBox: Maker = (draws, size) => {
  const sides = drawSides(draws, size, 1);
  const [x, y] = drawMiddle(draws, size, sides);
  const radius = rounded(draws.uniform(0.1, 0.5) * Math.min(...sides));
  return [{ ...boxAt(x - sides[0] / 2, y - sides[1] / 2, ...sides), radius }];
};

const LASSO_POINTS = 48;
/** Amplitudes of the waves along the outline fall with their number. */
const WAVES = [2, 3, 4, 5, 6];

/** An outline drawn by hand: an ellipse with waves of 2 to 6 around, tilted. */
export const lasso: Maker = (draws, size) => {
  const sides = drawSides(draws, size, Math.PI / 4);
  const waves = WAVES.map((count) => ({
    count,
    depth: draws.uniform(0, 0.3 / count),
    start: draws.uniform(0, 2 * Math.PI),
  }));
  const outline = Array.from({ length: LASSO_POINTS }, (_, i): Point => {
    const angle = (2 * Math.PI * i) / LASSO_POINTS;
    const reach =
      1 + waves.reduce((sum, { count, depth, start }) => sum + depth * Math.sin(count * angle + start), 0);
    return [(reach * Math.cos(angle) * sides[0]) / 2, (reach * Math.sin(angle) * sides[1]) / 2];
  });
  const [left, right] = [Math.min(...outline.map(([x]) => x)), Math.max(...outline.map(([x]) => x))];
  const [top, bottom] = [Math.min(...outline.map(([, y]) => y)), Math.max(...outline.map(([, y]) => y))];
  const [x, y] = drawMiddle(draws, size, [right - left, bottom - top]);
  const [dx, dy] = [x - (left + right) / 2, y - (top + bottom) / 2];
  return [{ shape: "polygon", points: outline.map(([px, py]) => point(px + dx, py + dy)) }];
};

/** The whole picture. */
export const everything: Maker = (_, { width, height }) => [boxAt(0, 0, width, height)];

interface Sides {
  /** How much of the picture's width or height a side takes. */
  readonly pad: readonly [low: number, high: number];
  /** Whether all four sides are holes, or each with probability 1/2 and at least one. */
  readonly all: boolean;
}

/** What is to be painted when a picture is extended: all outside of a box that touches the other sides. */
export function outpaint({ pad, all }: Sides): Maker {
  return (draws, { width, height }): Layer[] => {
    const sides = [0, 1, 2, 3].map(() => draws.uniform(...pad));
    const sure = draws.whole(0, 3);
    const taken = sides.map((side, i) => (all || i === sure || draws.chance(0.5) ? side : 0));
    const [left, right, top, bottom] = taken as [number, number, number, number];
    const box = boxAt(left * width, top * height, (1 - left - right) * width, (1 - top - bottom) * height);
    return [{ ...box, outside: true }];
  };
}
