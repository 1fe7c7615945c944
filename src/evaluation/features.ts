import { areaMeans, type Picture } from "../image/mod.ts";

/** Side of the grid that pictures are compared on. */
export const FEATURE_SIDE = 16;

/** Mean colours of a 16x16 grid, row by row, red, green, blue, each 0 to 1. */
export type Features = Float32Array;

/** The features of a picture of any size: pixels count by the part of them that lies in a cell. */
export function featuresOf(picture: Picture): Features {
  return areaMeans(picture, FEATURE_SIDE);
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
