import type { Picture } from "../image/mod.ts";

/** Side of the grid that pictures are compared on. */
export const FEATURE_SIDE = 16;

/** Mean colours of a 16x16 grid, row by row, red, green, blue, each 0 to 1. */
export type Features = Float32Array;

/** The features of a picture of any size: pixels count by the part of them that lies in a cell. */
export function featuresOf({ width, height, data }: Picture): Features {
  const features = new Float32Array(3 * FEATURE_SIDE * FEATURE_SIDE);
  const rows = sharesOf(height);
  const columns = sharesOf(width);
  for (let y = 0; y < height; y++) {
    for (const [row, tall] of rows[y]!) {
      for (let x = 0; x < width; x++) {
        for (const [column, wide] of columns[x]!) {
          const to = 3 * (row * FEATURE_SIDE + column);
          const from = 3 * (y * width + x);
          const weight = (tall * wide) / 255;
          features[to] = features[to]! + weight * data[from]!;
          features[to + 1] = features[to + 1]! + weight * data[from + 1]!;
          features[to + 2] = features[to + 2]! + weight * data[from + 2]!;
        }
      }
    }
  }
  return features;
}

/** For every pixel of an axis the cells it lies in, and its part of each. */
function sharesOf(length: number): [cell: number, part: number][][] {
  const cell = length / FEATURE_SIDE;
  return Array.from({ length }, (_, pixel) => {
    const shares: [number, number][] = [];
    for (let at = Math.floor(pixel / cell); at < FEATURE_SIDE && at * cell < pixel + 1; at++) {
      const covered = Math.min((at + 1) * cell, pixel + 1) - Math.max(at * cell, pixel);
      if (covered > 1e-9) shares.push([at, covered / cell]);
    }
    return shares;
  });
}

/** Root mean square difference of two features, 0 to 1. */
export function colourDistance(a: Features, b: Features): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length);
}

/** The nearest of many pictures and how far it is; for the nearest picture of a training set. */
export function nearestFeatures(
  features: Features,
  library: readonly Features[],
): { readonly index: number; readonly distance: number } {
  let index = -1;
  let distance = Number.POSITIVE_INFINITY;
  for (const [i, other] of library.entries()) {
    const found = colourDistance(features, other);
    if (found < distance) {
      index = i;
      distance = found;
    }
  }
  return { index, distance };
}
