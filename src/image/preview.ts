import { KandinskyError } from "../base/mod.ts";
import { float32, formatShape, type Tensor } from "../tensor/mod.ts";
import { type Picture, pictureFromTensor, planesOf } from "./picture.ts";

/**
 * A linear map from latent channels to colour in [-1,1]: colour = latent . weights + bias at every place.
 * Good enough to watch a picture appear, at a millionth of the decoder's work.
 */
export interface PreviewMatrix {
  /** [latent channels][red, green, blue]. */
  readonly weights: readonly (readonly number[])[];
  /** [red, green, blue]. */
  readonly bias: readonly number[];
}

/** A small picture, one pixel per latent place, of [C,h,w] or [1,C,h,w]. Throws as `pictureFromTensor` does. */
export function latentPreview(latent: Tensor<"float32">, matrix: PreviewMatrix): Picture {
  const { height, width } = planesOf(latent, matrix.weights.length);
  const size = height * width;
  const colours = new Float32Array(3 * size);
  for (let colour = 0; colour < 3; colour++) {
    for (let i = 0; i < size; i++) {
      let sum = matrix.bias[colour]!;
      for (const [channel, row] of matrix.weights.entries()) {
        sum += latent.data[channel * size + i]! * row[colour]!;
      }
      colours[colour * size + i] = sum;
    }
  }
  return pictureFromTensor(float32([3, height, width], colours), "nearest");
}

/**
 * The least-squares preview matrix for latents [C,h,w] and the pictures they decode to, each `f` times as
 * large; a picture counts by the mean of every f x f block. Throws `tensor_shape` where sizes do not fit and
 * `input_missing` where the latents are too few or too alike to fix the matrix.
 */
export function fitPreviewMatrix(
  latents: readonly Tensor<"float32">[],
  pictures: readonly Picture[],
): PreviewMatrix {
  const channels = latents[0]?.shape.at(-3) ?? 0;
  const unknowns = channels + 1;
  // The normal equations, with the right side's three colours as further columns.
  const rows = Array.from({ length: unknowns }, () => new Array<number>(unknowns + 3).fill(0));
  for (const [index, latent] of latents.entries()) {
    const { height, width } = planesOf(latent, channels);
    const means = blockMeans(pictures[index], height, width);
    for (let i = 0; i < height * width; i++) {
      const inputs = Array.from({ length: unknowns }, (_, c) =>
        c < channels ? latent.data[c * height * width + i]! : 1,
      );
      for (const [r, row] of rows.entries()) {
        for (let c = 0; c < unknowns; c++) row[c]! += inputs[r]! * inputs[c]!;
        for (let colour = 0; colour < 3; colour++) {
          row[unknowns + colour]! += inputs[r]! * means[3 * i + colour]!;
        }
      }
    }
  }
  const solution = solve(rows);
  return { weights: solution.slice(0, channels), bias: solution[channels] ?? [] };
}

/** Mean colour in [-1,1] of each block of the picture, RGB per latent place. */
function blockMeans(picture: Picture | undefined, height: number, width: number): Float64Array {
  const factor = (picture?.width ?? 0) / width;
  if (picture === undefined || !Number.isInteger(factor) || picture.height !== factor * height) {
    throw new KandinskyError("tensor_shape", {
      what: "latent and picture differ in size",
      seen: picture === undefined ? "no picture" : `${picture.width}x${picture.height} pixels`,
      wanted: `a whole multiple of ${formatShape([height, width])} (height, width)`,
    });
  }
  const means = new Float64Array(3 * height * width);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      const block = 3 * (Math.floor(y / factor) * width + Math.floor(x / factor));
      const pixel = 3 * (y * picture.width + x);
      for (let colour = 0; colour < 3; colour++) {
        means[block + colour]! += (picture.data[pixel + colour]! / 127.5 - 1) / factor ** 2;
      }
    }
  }
  return means;
}

/** Gauss-Jordan elimination with row pivoting of [A | B]; returns the rows of X in A X = B. */
function solve(augmented: readonly (readonly number[])[]): number[][] {
  const rows = augmented.map((row) => [...row]);
  const order = rows.length;
  const scale = rows.reduce((most, row, i) => Math.max(most, Math.abs(row[i]!)), 0);
  for (let column = 0; column < order; column++) {
    let pivot = column;
    for (let r = column + 1; r < order; r++) {
      if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    }
    if (!(Math.abs(rows[pivot]![column]!) > 1e-12 * scale)) {
      throw new KandinskyError("input_missing", {
        what: "cannot fit the preview matrix",
        seen: "latents that are too few or too alike",
        wanted: `at least ${order} independent latent values`,
      });
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const lead = rows[column]!.map((value) => value / rows[column]![column]!);
    for (let r = 0; r < order; r++) {
      const factor = rows[r]![column]!;
      rows[r] = r === column ? lead : rows[r]!.map((value, c) => value - factor * lead[c]!);
    }
  }
  return rows.map((row) => row.slice(order));
}
