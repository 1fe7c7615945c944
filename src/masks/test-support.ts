import { foldIn, keyOf } from "../random/mod.ts";
import { type MadeMask, type MaskKind, makeMask } from "./make.ts";
import type { Mask } from "./mask.ts";
import type { AlphaMap, Size } from "./spec.ts";

export const SQUARE: Size = { width: 256, height: 256 };

/** `count` masks of a kind, from keys of their own. */
export function masksOf(
  kind: MaskKind,
  count: number,
  size: Size = SQUARE,
  objects: readonly AlphaMap[] = [],
): MadeMask[] {
  return Array.from({ length: count }, (_, i) => makeMask(kind, foldIn(keyOf(11), i), size, objects));
}

/** A disc with alpha, left of the middle of a frame twice as wide as high, so that a mirrored one is seen. */
export function disc(id: string, radius: number): AlphaMap {
  const [width, height] = [200, 100];
  const data = Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
    return Math.hypot(x - 60, y - 50) <= radius ? 255 : 0;
  });
  return { id, width, height, data };
}

/** The mask as rows of `#` and `.`. */
export function picture({ width, height, data }: Mask): string[] {
  return Array.from({ length: height }, (_, y) =>
    Array.from(data.subarray(y * width, (y + 1) * width), (hole) => (hole === 1 ? "#" : ".")).join(""),
  );
}

/** Mean and the 5th, 50th and 95th percentile. */
export function statistics(values: readonly number[]): readonly [number, number, number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))]!;
  return [values.reduce((sum, x) => sum + x, 0) / values.length, at(0.05), at(0.5), at(0.95)];
}
