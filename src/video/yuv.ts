import type { Picture } from "../image/mod.ts";

/** 8-bit planes Y, U, V one after the other; U and V have half the sides, rounded up. */
export interface Yuv420 {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Luma weights of BT.709. Limited range: Y from 16 to 235, U and V from 16 to 240. */
const RED = 0.2126;
const GREEN = 0.7152;
const BLUE = 0.0722;
const Y_SCALE = 219 / 255;
const C_SCALE = 224 / 255;

/** Shares of a byte in fixed point with 16 fraction bits. */
const fixed = (share: number) => Math.round(share * 65_536);

const Y_RED = fixed(RED * Y_SCALE);
const Y_GREEN = fixed(GREEN * Y_SCALE);
const Y_BLUE = fixed(BLUE * Y_SCALE);
const U_RED = fixed((-RED / (2 * (1 - BLUE))) * C_SCALE);
const U_GREEN = fixed((-GREEN / (2 * (1 - BLUE))) * C_SCALE);
const U_BLUE = -U_RED - U_GREEN;
const V_GREEN = fixed((-GREEN / (2 * (1 - RED))) * C_SCALE);
const V_BLUE = fixed((-BLUE / (2 * (1 - RED))) * C_SCALE);
const V_RED = -V_GREEN - V_BLUE;

/** The planes of a picture; a colour sample is the mean of the up to four pixels it covers. */
export function yuvFromPicture({ width, height, data }: Picture): Yuv420 {
  const chromaWidth = (width + 1) >> 1;
  const chromaHeight = (height + 1) >> 1;
  const size = width * height;
  const planes = new Uint8Array(size + 2 * chromaWidth * chromaHeight);
  for (let i = 0, at = 0; i < size; i++, at += 3) {
    planes[i] =
      (Y_RED * data[at]! + Y_GREEN * data[at + 1]! + Y_BLUE * data[at + 2]! + (16 << 16) + 32_768) >> 16;
  }
  const u = size;
  const v = size + chromaWidth * chromaHeight;
  for (let y = 0; y < chromaHeight; y++) {
    const top = 2 * y * width;
    const bottom = Math.min(2 * y + 1, height - 1) * width;
    for (let x = 0; x < chromaWidth; x++) {
      const left = 2 * x;
      const right = Math.min(left + 1, width - 1);
      const a = 3 * (top + left);
      const b = 3 * (top + right);
      const c = 3 * (bottom + left);
      const d = 3 * (bottom + right);
      const red = data[a]! + data[b]! + data[c]! + data[d]!;
      const green = data[a + 1]! + data[b + 1]! + data[c + 1]! + data[d + 1]!;
      const blue = data[a + 2]! + data[b + 2]! + data[c + 2]! + data[d + 2]!;
      const at = y * chromaWidth + x;
      planes[u + at] = (U_RED * red + U_GREEN * green + U_BLUE * blue + (512 << 16) + 131_072) >> 18;
      planes[v + at] = (V_RED * red + V_GREEN * green + V_BLUE * blue + (512 << 16) + 131_072) >> 18;
    }
  }
  return { width, height, data: planes };
}

const RED_OF_V = (2 * (1 - RED)) / C_SCALE;
const BLUE_OF_U = (2 * (1 - BLUE)) / C_SCALE;
const GREEN_OF_V = (-2 * RED * (1 - RED)) / GREEN / C_SCALE;
const GREEN_OF_U = (-2 * BLUE * (1 - BLUE)) / GREEN / C_SCALE;

/** The picture of planes, the colour sample of each 2x2 pixels repeated. */
export function pictureFromYuv({ width, height, data: planes }: Yuv420): Picture {
  const chromaWidth = (width + 1) >> 1;
  const size = width * height;
  const v = size + chromaWidth * ((height + 1) >> 1);
  // A clamped array rounds and clips what is written.
  const data = new Uint8ClampedArray(3 * size);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const chroma = (y >> 1) * chromaWidth + (x >> 1);
      const luma = (planes[y * width + x]! - 16) / Y_SCALE;
      const blueness = planes[size + chroma]! - 128;
      const redness = planes[v + chroma]! - 128;
      data[at] = luma + RED_OF_V * redness;
      data[at + 1] = luma + GREEN_OF_U * blueness + GREEN_OF_V * redness;
      data[at + 2] = luma + BLUE_OF_U * blueness;
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}
