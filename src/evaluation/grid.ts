import type { Picture } from "../image/mod.ts";
import { backgroundOf, colourGap } from "./background.ts";

/** What a picture of a 3x3 grid is like. */
export interface GridFigures {
  /** Cells of nine with at least a fifth of the mean cell's foreground. */
  readonly filled: number;
  /** Distance of neighbours in a row and in a column, in units of the picture's side; 1/3 is right. */
  readonly period: readonly [across: number, down: number];
  /** Root mean square distance of the centres from the best lattice, in units of the period. */
  readonly residual: number;
  /** Angles of rows to the horizontal and columns to the vertical, degrees; the larger one. */
  readonly tilt: number;
  /** Correlation of the most different cell with the mean of all, -1 to 1: whether all look the same. */
  readonly alike: number;
}

/** What counts as a straight grid. */
export const STRAIGHT = { period: 0.05, residual: 0.05, tilt: 2, alike: 0.8 } as const;

const SIDE = 3;
/** A pixel this far from the background's colour belongs to a subject in full. */
const FULL = 96;

/**
 * Measures a picture as a 3x3 grid: centres of foreground of the nine cells, and the lattice through them by least
 * squares. Knows nothing of what is shown.
 */
export function gridFigures(picture: Picture): GridFigures {
  const cells = cellsOf(picture);
  const masses = cells.map(({ mass }) => mass);
  const mean = masses.reduce((sum, mass) => sum + mass, 0) / cells.length;
  const filled = masses.filter((mass) => mass > 0 && mass >= mean / 5).length;
  if (filled < cells.length)
    return { filled, period: [0, 0], residual: 1, tilt: 90, alike: alikeness(cells) };
  // Rows and columns are numbered -1, 0, 1, so that the parts of the least squares fit do not mix.
  const steps = cells.map((_, i) => [(i % SIDE) - 1, Math.floor(i / SIDE) - 1] as const);
  const along = (axis: 0 | 1, step: 0 | 1) =>
    cells.reduce((sum, { centre }, i) => sum + centre[axis] * steps[i]![step], 0) / 6;
  const origin = ([0, 1] as const).map(
    (axis) => cells.reduce((sum, { centre }) => sum + centre[axis], 0) / 9,
  );
  const across = [along(0, 0), along(1, 0)] as const;
  const down = [along(0, 1), along(1, 1)] as const;
  const period = [Math.hypot(...across), Math.hypot(...down)] as const;
  let squares = 0;
  for (const [i, { centre }] of cells.entries()) {
    const [column, row] = steps[i]!;
    for (const axis of [0, 1] as const) {
      squares += (centre[axis] - origin[axis]! - column * across[axis] - row * down[axis]) ** 2;
    }
  }
  const degrees = 180 / Math.PI;
  const tilts = [Math.atan2(across[1], across[0]), Math.atan2(-down[0], down[1])];
  return {
    filled,
    period,
    residual: Math.sqrt(squares / 9) / ((period[0] + period[1]) / 2),
    tilt: Math.max(...tilts.map((tilt) => Math.abs(tilt) * degrees)),
    alike: alikeness(cells),
  };
}

/** Whether the figures are those of nine equal subjects on a straight 3x3 grid of the right period. */
export function isStraightGrid({ filled, period, residual, tilt, alike }: GridFigures): boolean {
  return (
    filled === SIDE * SIDE &&
    period.every((length) => Math.abs(length * SIDE - 1) <= STRAIGHT.period) &&
    residual <= STRAIGHT.residual &&
    tilt <= STRAIGHT.tilt &&
    alike >= STRAIGHT.alike
  );
}

interface Cell {
  readonly mass: number;
  /** Centre of the foreground in units of the picture's shorter side. */
  readonly centre: readonly [number, number];
  /** Difference from the background's colour on an 8x8 grid of the cell, three channels each. */
  readonly look: Float64Array;
}

const LOOK_SIDE = 8;
const LOOK = 3 * LOOK_SIDE ** 2;

function cellsOf(picture: Picture): Cell[] {
  const { width, height, data } = picture;
  const { colour } = backgroundOf(picture);
  const side = Math.min(width, height);
  const left = (width - side) / 2;
  const top = (height - side) / 2;
  const sums = Array.from({ length: SIDE * SIDE }, () => ({
    mass: 0,
    x: 0,
    y: 0,
    look: new Float64Array(LOOK),
  }));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = (x + 0.5 - left) / side;
      const v = (y + 0.5 - top) / side;
      if (u < 0 || u >= 1 || v < 0 || v >= 1) continue;
      const at = 3 * (y * width + x);
      const pixel = [data[at]!, data[at + 1]!, data[at + 2]!];
      const part = Math.min(colourGap(pixel, colour) / FULL, 1);
      const [column, row] = [Math.floor(u * SIDE), Math.floor(v * SIDE)];
      const sum = sums[row * SIDE + column]!;
      sum.mass += part;
      sum.x += part * u;
      sum.y += part * v;
      const place =
        Math.floor((v * SIDE - row) * LOOK_SIDE) * LOOK_SIDE + Math.floor((u * SIDE - column) * LOOK_SIDE);
      for (let c = 0; c < 3; c++) {
        sum.look[3 * place + c] = sum.look[3 * place + c]! + pixel[c]! - colour[c]!;
      }
    }
  }
  return sums.map(({ mass, x, y, look }) => ({ mass, centre: [x / mass, y / mass] as const, look }));
}

function alikeness(cells: readonly Cell[]): number {
  const mean = new Float64Array(LOOK);
  for (const { look } of cells) {
    for (const [i, value] of look.entries()) mean[i] = mean[i]! + value / cells.length;
  }
  return Math.min(...cells.map(({ look }) => correlation(look, mean)));
}

function correlation(a: Float64Array, b: Float64Array): number {
  const meanOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [meanOf(a), meanOf(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i]! - ma) * (b[i]! - mb);
    aa += (a[i]! - ma) ** 2;
    bb += (b[i]! - mb) ** 2;
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}
