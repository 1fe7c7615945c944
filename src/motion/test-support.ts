import { readFileSync } from "node:fs";
import type { Picture } from "../image/mod.ts";
import { type FlatMotion, flatMap, type SamplingMap, type SpaceMotion, spaceMap } from "./camera.ts";
import type { Border } from "./warp.ts";

/** What `golden/make/motion.py` wrote. */
interface Golden {
  readonly first: Picture;
  readonly second: Picture;
  readonly warps: readonly {
    readonly map: SamplingMap;
    readonly border: Border;
    readonly expected: number[];
    readonly name: string;
  }[];
  readonly rgb: number[];
  readonly lab: number[];
  readonly sharp: number[];
  readonly held: number[];
}

export function golden(): Golden {
  const path = new URL("../../../golden/motion/motion.json", import.meta.url);
  const { width, height, first, second, warps, ...rest } = JSON.parse(readFileSync(path, "utf8"));
  const picture = (data: number[]) => ({ width, height, data: Uint8Array.from(data) });
  const mapOf = { space: spaceMap, flat: flatMap };
  return {
    ...rest,
    first: picture(first),
    second: picture(second),
    warps: warps.map(
      (warp: {
        kind: "space" | "flat";
        motion: SpaceMotion & FlatMotion;
        border: Border;
        expected: number[];
      }) => ({
        ...warp,
        map: mapOf[warp.kind](warp.motion, width, height),
        name: `${warp.kind} ${JSON.stringify(warp.motion)}`,
      }),
    ),
  };
}

/** The largest and the mean distance of two lists of values. */
export function distances(a: ArrayLike<number>, b: ArrayLike<number>): { worst: number; mean: number } {
  if (a.length !== b.length) return { worst: Number.POSITIVE_INFINITY, mean: Number.POSITIVE_INFINITY };
  let [worst, sum] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs(a[i]! - b[i]!);
    worst = Math.max(worst, distance);
    sum += distance;
  }
  return { worst, mean: sum / a.length };
}

/** Smooth hills that tell every place, moved by (dx, dy). */
export function hills(width: number, height: number, dx = 0, dy = 0): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const [u, v] = [x - dx, y - dy];
      data[at] = Math.round(128 + 60 * Math.sin(u / 9) + 40 * Math.cos(v / 7));
      data[at + 1] = Math.round(128 + 50 * Math.cos(u / 11 + v / 13));
      data[at + 2] = Math.round(128 + 70 * Math.sin(u / 17 - v / 10));
    }
  }
  return { width, height, data };
}

/** A black picture with a white block whose middle is (x, y). */
export function block(width: number, height: number, x: number, y: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let row = y - 3; row <= y + 3; row++)
    data.fill(255, 3 * (row * width + x - 3), 3 * (row * width + x + 4));
  return { width, height, data };
}

/** The middle of what is bright. */
export function middleOf({ width, data }: Picture): [x: number, y: number] {
  let [sum, x, y] = [0, 0, 0];
  for (let i = 0, at = 0; at < data.length; i++, at += 3) {
    sum += data[at]!;
    x += data[at]! * (i % width);
    y += data[at]! * Math.floor(i / width);
  }
  return [x / sum, y / sum];
}
