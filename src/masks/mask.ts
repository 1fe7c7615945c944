import { KandinskyError } from "../base/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
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

/**
 * The mask channel of the U-Net with 9 input channels, [1,1,H/cell,W/cell]: there 1 means KEEP. Any hole pixel makes
 * the whole cell a hole, so that no hole is lost however small. Throws `size_unit` where cells do not fit the size.
 */
export function keepCells(mask: Mask, cell: number): Tensor<"float32"> {
  if (mask.width % cell !== 0 || mask.height % cell !== 0) {
    throw new KandinskyError("size_unit", {
      what: "cannot reduce the mask to the latent's size",
      seen: `${mask.width}x${mask.height}`,
      wanted: `multiples of ${cell}`,
    });
  }
  const [width, height] = [mask.width / cell, mask.height / cell];
  const keep = new Float32Array(width * height).fill(1);
  for (let i = 0; i < mask.data.length; i++) {
    if (mask.data[i] === 0) continue;
    const [x, y] = [i % mask.width, Math.floor(i / mask.width)];
    keep[Math.floor(y / cell) * width + Math.floor(x / cell)] = 0;
  }
  return float32([1, 1, height, width], keep);
}
