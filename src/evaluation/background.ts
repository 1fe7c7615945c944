import type { Picture } from "../image/mod.ts";
import { BACKGROUNDS, type Background } from "../scenes/mod.ts";

/** The colour around a picture's edge. */
export interface FoundBackground {
  /** The nearest of the backgrounds by name. */
  readonly name: Background;
  /** 0 to 255. */
  readonly colour: readonly [number, number, number];
  /** Euclidean distance of the two, 0 to 442. */
  readonly distance: number;
}

/**
 * The background of a picture: the median of each channel over a frame of 1/32 of the side, which stays right where
 * subjects reach into less than half of it, and the nearest named colour.
 */
export function backgroundOf({ width, height, data }: Picture): FoundBackground {
  const frame = Math.max(1, Math.round(Math.min(width, height) / 32));
  const channels: number[][] = [[], [], []];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = x >= frame && x < width - frame && y >= frame && y < height - frame;
      if (inside) continue;
      for (const [c, values] of channels.entries()) values.push(data[3 * (y * width + x) + c]!);
    }
  }
  const colour = channels.map(median) as [number, number, number];
  const near = (Object.keys(BACKGROUNDS) as Background[])
    .map((name) => ({ name, distance: colourGap(colour, BACKGROUNDS[name]) }))
    .reduce((a, b) => (b.distance < a.distance ? b : a));
  return { ...near, colour };
}

/** Euclidean distance of two colours. */
export function colourGap(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(a[0]! - b[0]!, a[1]! - b[1]!, a[2]! - b[2]!);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
