import { float32, type Tensor } from "../tensor/mod.ts";
import type { Picture } from "./picture.ts";

/**
 * Mean colours of a `side` x `side` grid over a picture of any size, row by row, red, green, blue, each 0 to 1: pixels
 * count by the part of them that lies in a cell. Plain arithmetic, equal on every machine.
 */
export function areaMeans({ width, height, data }: Picture, side: number): Float32Array {
  const means = new Float32Array(3 * side * side);
  const line = new Float32Array(3 * side);
  const [rows, columns] = [sharesOf(height, side), sharesOf(width, side)];
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let i = 0; i < columns.pixels.length; i++) {
      const from = 3 * (y * width + columns.pixels[i]!);
      const to = 3 * columns.cells[i]!;
      const part = columns.parts[i]!;
      line[to] = line[to]! + part * data[from]!;
      line[to + 1] = line[to + 1]! + part * data[from + 1]!;
      line[to + 2] = line[to + 2]! + part * data[from + 2]!;
    }
    for (let i = rows.starts[y]!; i < rows.starts[y + 1]!; i++) {
      const to = 3 * side * rows.cells[i]!;
      const part = rows.parts[i]! / 255;
      for (let x = 0; x < line.length; x++) means[to + x] = means[to + x]! + part * line[x]!;
    }
  }
  return means;
}

/** Which pixels of an axis lie in which cells, and with what part of a cell; those of pixel p from `starts[p]` on. */
interface Shares {
  readonly starts: readonly number[];
  readonly pixels: readonly number[];
  readonly cells: readonly number[];
  readonly parts: readonly number[];
}

function sharesOf(length: number, count: number): Shares {
  const cell = length / count;
  const [starts, pixels, cells, parts]: [number[], number[], number[], number[]] = [[0], [], [], []];
  for (let pixel = 0; pixel < length; pixel++) {
    for (let at = Math.floor(pixel / cell); at < count && at * cell < pixel + 1; at++) {
      const covered = Math.min((at + 1) * cell, pixel + 1) - Math.max(at * cell, pixel);
      if (covered <= 1e-9) continue;
      pixels.push(pixel);
      cells.push(at);
      parts.push(covered / cell);
    }
    starts.push(pixels.length);
  }
  return { starts, pixels, cells, parts };
}

/** Mean colours of pictures of any size on a grid, as networks take pictures: [B,3,side,side] in [-1,1]. */
export function meansTensor(pictures: readonly Picture[], side: number): Tensor<"float32"> {
  const plane = side * side;
  const data = new Float32Array(pictures.length * 3 * plane);
  for (const [i, picture] of pictures.entries()) {
    const means = areaMeans(picture, side);
    for (let at = 0; at < plane; at++) {
      for (let c = 0; c < 3; c++) data[(3 * i + c) * plane + at] = 2 * means[3 * at + c]! - 1;
    }
  }
  return float32([pictures.length, 3, side, side], data);
}
