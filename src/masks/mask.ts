import type { Size } from "./spec.ts";

/** One byte a pixel, row by row: 1 is hole (to be painted), 0 is kept. */
export interface Mask extends Size {
  readonly data: Uint8Array;
}

/** The part of the picture that is hole, 0 to 1. */
export function holeRatio({ data }: Mask): number {
  let holes = 0;
  for (const hole of data) holes += hole;
  return holes / data.length;
}
