import type { Draws } from "../random/mod.ts";
import type { AlphaMap, Layer, Size } from "./spec.ts";

/** Draws the layers of one mask. Every randomness comes from `draws`. */
export type Maker = (draws: Draws, size: Size, objects: readonly AlphaMap[]) => Layer[];

/** Lengths in pixels that hold for pictures of this side; others get them in proportion to their shorter side. */
export function unitOf({ width, height }: Size, reference: number): number {
  return Math.min(width, height) / reference;
}
