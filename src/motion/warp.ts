import type { Picture } from "../image/mod.ts";
import { type SamplingMap, sampleAt, type Trace } from "./camera.ts";

/** What lies beyond the edge: the edge's pixels, the opposite side, or the picture mirrored. */
export type Border = keyof typeof BORDERS;

/** The column (or row) of `size` that stands for any whole number. */
export const BORDERS = {
  replicate: (i: number, size: number) => (i < 0 ? 0 : i >= size ? size - 1 : i),
  wrap: (i: number, size: number) => ((i % size) + size) % size,
  // The edge pixel is not doubled: 2 1 0 1 2.
  reflect: (i: number, size: number) => {
    if (size === 1) return 0;
    const period = 2 * size - 2;
    const place = ((i % period) + period) % period;
    return place < size ? place : period - place;
  },
} as const satisfies Record<string, (i: number, size: number) => number>;

export const BORDER_NAMES = Object.keys(BORDERS) as readonly Border[];

/** Positions between two pixels whose weights are in the table: finer than an 8-bit picture can show. */
const POSITIONS = 1024;

/** Sharpness of the cubic kernel, as OpenCV and PyTorch have it. */
const SHARPNESS = -0.75;

/** Four weights for each of the positions 0 to POSITIONS (Keys' cubic convolution); they sum to 1. */
function cubicWeights(): Float32Array {
  const table = new Float32Array(4 * (POSITIONS + 1));
  const near = (d: number) => ((SHARPNESS + 2) * d - (SHARPNESS + 3)) * d * d + 1;
  const far = (d: number) => ((SHARPNESS * d - 5 * SHARPNESS) * d + 8 * SHARPNESS) * d - 4 * SHARPNESS;
  for (let i = 0; i <= POSITIONS; i++) {
    const t = i / POSITIONS;
    table.set([far(1 + t), near(t), near(1 - t), far(2 - t)], 4 * i);
  }
  return table;
}

/**
 * The picture seen through the maps of one frame after another, sampled once: bicubic, to sub-pixel places. What a
 * camera behind the plane would see (a division by zero) is the border.
 */
export function warpPicture(picture: Picture, maps: readonly SamplingMap[], border: Border): Picture {
  return warpAlong(picture, tracer(maps), border);
}

/** As `warpPicture`, for any way of the pixels. */
export function warpAlong(picture: Picture, trace: Trace, border: Border): Picture {
  const { width, height, data } = picture;
  const weights = cubicWeights();
  const inside = BORDERS[border];
  const output = new Uint8ClampedArray(data.length);
  const place = new Float64Array(2);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      trace(x, y, place);
      let u = place[0]!;
      let v = place[1]!;
      if (!(Math.abs(u) < FAR && Math.abs(v) < FAR)) {
        u = Number.isNaN(u) ? 0 : Math.max(-FAR, Math.min(FAR, u));
        v = Number.isNaN(v) ? 0 : Math.max(-FAR, Math.min(FAR, v));
      }
      const left = Math.floor(u);
      const top = Math.floor(v);
      const wx = 4 * Math.round((u - left) * POSITIONS);
      const wy = 4 * Math.round((v - top) * POSITIONS);
      const a = weights[wx]!;
      const b = weights[wx + 1]!;
      const c = weights[wx + 2]!;
      const d = weights[wx + 3]!;
      let red = 0;
      let green = 0;
      let blue = 0;
      if (left >= 1 && top >= 1 && left < width - 2 && top < height - 2) {
        let from = 3 * ((top - 1) * width + left - 1);
        for (let row = 0; row < 4; row++, from += 3 * width) {
          const weight = weights[wy + row]!;
          red += weight * (a * data[from]! + b * data[from + 3]! + c * data[from + 6]! + d * data[from + 9]!);
          green +=
            weight * (a * data[from + 1]! + b * data[from + 4]! + c * data[from + 7]! + d * data[from + 10]!);
          blue +=
            weight * (a * data[from + 2]! + b * data[from + 5]! + c * data[from + 8]! + d * data[from + 11]!);
        }
      } else {
        for (let row = 0; row < 4; row++) {
          const line = inside(top - 1 + row, height) * width;
          for (let column = 0; column < 4; column++) {
            const weight = weights[wy + row]! * weights[wx + column]!;
            const from = 3 * (line + inside(left - 1 + column, width));
            red += weight * data[from]!;
            green += weight * data[from + 1]!;
            blue += weight * data[from + 2]!;
          }
        }
      }
      output[at] = red;
      output[at + 1] = green;
      output[at + 2] = blue;
    }
  }
  return { width, height, data: new Uint8Array(output.buffer) };
}

/** Beyond this every border looks the same, and whole numbers are still exact. */
const FAR = 2 ** 30;

/** As `sampleAt`, without making arrays: this runs for every pixel. */
function tracer(maps: readonly SamplingMap[]): Trace {
  const [only] = maps;
  if (only === undefined || maps.length > 1) {
    return (x, y, place) => {
      const [u, v] = sampleAt(maps, x, y);
      place[0] = u;
      place[1] = v;
    };
  }
  const [a, b, c, d, e, f] = only.linear;
  const [p0, p1, p2, p3, p4, p5, p6, p7, p8] = only.projective;
  return (x, y, place) => {
    const w = p6 * x + p7 * y + p8;
    place[0] = a * x + b * y + c + (p0 * x + p1 * y + p2) / w;
    place[1] = d * x + e * y + f + (p3 * x + p4 * y + p5) / w;
  };
}
