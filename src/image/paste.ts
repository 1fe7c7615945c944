import { clamp } from "../base/mod.ts";
import type { Rect, SoftMask } from "./mask.ts";
import type { Picture } from "./picture.ts";

/** A part of a picture. */
export function cropPicture(picture: Picture, { left, top, width, height }: Rect): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, data };
}

/** A larger picture with this one at (left, top) in it; the border's colours go on outward. */
export function padPicture(picture: Picture, { left, top, width, height }: Rect): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const row = clamp(y - top, 0, picture.height - 1) * picture.width;
    for (let x = 0; x < width; x++) {
      const from = 3 * (row + clamp(x - left, 0, picture.width - 1));
      data.set(picture.data.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return { width, height, data };
}

/**
 * `base` with `patch` laid over it at (left, top), as strongly as `alpha` says, 0 to 1 for each pixel of the patch.
 * Where alpha is 0 the base stays bit for bit.
 */
export function pastePicture(
  base: Picture,
  patch: Picture,
  alpha: ArrayLike<number>,
  { left, top }: Pick<Rect, "left" | "top">,
): Picture {
  const data = Uint8Array.from(base.data);
  for (let i = 0; i < patch.width * patch.height; i++) {
    const share = alpha[i]!;
    if (share <= 0) continue;
    const x = left + (i % patch.width);
    const y = top + Math.floor(i / patch.width);
    const at = 3 * (y * base.width + x);
    for (let colour = 0; colour < 3; colour++) {
      const old = base.data[at + colour]!;
      data[at + colour] = Math.round(old + share * (patch.data[3 * i + colour]! - old));
    }
  }
  return { width: base.width, height: base.height, data };
}

/** Pixels along a block whose mean difference is matched: finer ones are texture, not colour. */
const BLOCK = 4;

/** Mean differences on a grid, three a cell, and how many pixels they stand for. */
interface Level {
  readonly width: number;
  readonly height: number;
  readonly sums: Float64Array;
  readonly weights: Float64Array;
}

/**
 * `drawn` with its colours shifted so that it meets `original` where that is known, which removes seams around a
 * hole. The shift is measured over blocks that are kept and goes on smoothly into the hole (pull-push of Gortler et al.
 * 1996). `hole` is over the same pixels; what it keeps, even partly, is known.
 */
export function matchColors(drawn: Picture, original: Picture, hole: SoftMask): Picture {
  const { width, height } = drawn;
  const shift = spread(blockDifferences(drawn, original, hole));
  const data = new Uint8Array(drawn.data.length);
  for (let y = 0; y < height; y++) {
    const v = clamp((y + 0.5) / BLOCK - 0.5, 0, shift.height - 1);
    for (let x = 0; x < width; x++) {
      const u = clamp((x + 0.5) / BLOCK - 0.5, 0, shift.width - 1);
      for (let colour = 0; colour < 3; colour++) {
        const at = 3 * (y * width + x) + colour;
        data[at] = clamp(Math.round(drawn.data[at]! + between(shift, u, v, colour)), 0, 255);
      }
    }
  }
  return { width, height, data };
}

function blockDifferences(drawn: Picture, original: Picture, hole: SoftMask): Level {
  const width = Math.ceil(drawn.width / BLOCK);
  const height = Math.ceil(drawn.height / BLOCK);
  const sums = new Float64Array(3 * width * height);
  const weights = new Float64Array(width * height);
  for (let i = 0; i < hole.data.length; i++) {
    if (hole.data[i] !== 0) continue;
    const x = Math.floor((i % drawn.width) / BLOCK);
    const cell = Math.floor(i / drawn.width / BLOCK) * width + x;
    weights[cell]!++;
    for (let colour = 0; colour < 3; colour++) {
      sums[3 * cell + colour]! += original.data[3 * i + colour]! - drawn.data[3 * i + colour]!;
    }
  }
  return { width, height, sums, weights };
}

interface Grid {
  readonly width: number;
  readonly height: number;
  readonly values: Float64Array;
}

/** Means of every cell; cells without pixels get what the next coarser level says at their place. */
function spread(level: Level): Grid {
  const { width, height, sums, weights } = level;
  const coarse = width * height > 1 ? spread(halved(level)) : undefined;
  const values = new Float64Array(3 * width * height);
  for (let cell = 0; cell < width * height; cell++) {
    const weight = weights[cell]!;
    for (let colour = 0; colour < 3; colour++) {
      values[3 * cell + colour] =
        weight > 0
          ? sums[3 * cell + colour]! / weight
          : coarse === undefined
            ? 0
            : coarseValue(coarse, (cell % width) + 0.5, Math.floor(cell / width) + 0.5, colour);
    }
  }
  return { width, height, values };
}

function halved({ width, height, sums, weights }: Level): Level {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
  const into = {
    ...half,
    sums: new Float64Array(3 * half.width * half.height),
    weights: new Float64Array(half.width * half.height),
  };
  for (let cell = 0; cell < width * height; cell++) {
    const target = Math.floor(Math.floor(cell / width) / 2) * half.width + Math.floor((cell % width) / 2);
    into.weights[target]! += weights[cell]!;
    for (let colour = 0; colour < 3; colour++) into.sums[3 * target + colour]! += sums[3 * cell + colour]!;
  }
  return into;
}

function coarseValue(grid: Grid, x: number, y: number, colour: number): number {
  return between(grid, clamp(x / 2 - 0.5, 0, grid.width - 1), clamp(y / 2 - 0.5, 0, grid.height - 1), colour);
}

/** Linear interpolation between the cells of a grid. */
function between({ width, height, values }: Grid, x: number, y: number, colour: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
  const [u, v] = [x - left, y - top];
  const at = (row: number, column: number) => values[3 * (row * width + column) + colour]!;
  const upper = at(top, left) * (1 - u) + at(top, right) * u;
  const lower = at(bottom, left) * (1 - u) + at(bottom, right) * u;
  return upper * (1 - v) + lower * v;
}
