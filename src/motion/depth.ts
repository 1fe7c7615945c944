import type { Picture } from "../image/mod.ts";

/** A picture, and where it is known the distance of each pixel from the camera, row by row: the plane is at 1. */
export interface DeepPicture extends Picture {
  readonly depth?: Float32Array;
}

/** Shares of the pixels that are taken for the furthest and the nearest: single ones say nothing. */
const [FAR_SHARE, NEAR_SHARE] = [0.02, 0.98];

/** How many times nearer the nearest is than the furthest. */
const RANGE = 4;

/**
 * Distances from inverse depth of which neither unit nor zero is known, as monocular networks give it: a straight line
 * over it goes from the furthest to the nearest, which is `RANGE` times nearer, and the median is at distance 1, where
 * motion is what it is without depth. Level pictures are the plane.
 */
export function distancesOf(inverse: Float32Array): Float32Array {
  const sorted = inverse.toSorted();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  const [far, near] = [at(FAR_SHARE), at(NEAR_SHARE)];
  if (near <= far) return new Float32Array(inverse.length).fill(1);
  const closeness = (value: number) =>
    1 + (RANGE - 1) * Math.min(1, Math.max(0, (value - far) / (near - far)));
  const middle = closeness(at(0.5));
  return inverse.map((value) => middle / closeness(value));
}
