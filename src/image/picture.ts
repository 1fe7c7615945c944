import { KandinskyError, roundHalfEven } from "../base/mod.ts";
import { formatShape, type Tensor, tensor } from "../tensor/mod.ts";

/** 8-bit sRGB pixels: row-major, three bytes a pixel, so byte `3 * (y * width + x)` is the red of (x, y). */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** How a value in [0, 255] becomes a byte: diffusers rounds halves to even, the native code truncates. */
export type Rounding = keyof typeof ROUND;

const ROUND = { nearest: roundHalfEven, truncate: Math.trunc } as const;

/**
 * Pixels of a decoder's output, [3,H,W] or [1,3,H,W] in [-1,1]: clip((y + 1) / 2, 0, 1) * 255 in float32
 * arithmetic, as both reference pipelines compute it. Throws `tensor_shape`, and `result_not_finite` naming
 * the first NaN or infinity.
 */
export function pictureFromTensor(t: Tensor<"float32">, rounding: Rounding): Picture {
  const { height, width } = planesOf(t, 3);
  const round = ROUND[rounding];
  const size = width * height;
  const data = new Uint8Array(3 * size);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < size; i++) {
      const value = t.data[channel * size + i]!;
      if (!Number.isFinite(value)) throw notFinite(value, channel, i % width, Math.floor(i / width));
      const unit = Math.fround(Math.fround(value + 1) / 2);
      data[3 * i + channel] = round(Math.fround(Math.min(Math.max(unit, 0), 1) * 255));
    }
  }
  return { width, height, data };
}

/** The picture as an encoder gets it, [1,3,H,W] in [-1,1], in the float32 arithmetic of both reference pipelines. */
export function tensorFromPicture({ width, height, data }: Picture): Tensor<"float32"> {
  const size = width * height;
  const values = new Float32Array(3 * size);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < size; i++) {
      values[channel * size + i] = Math.fround(Math.fround(data[3 * i + channel]! / 255) * 2) - 1;
    }
  }
  return tensor("float32", [1, 3, height, width], values);
}

/** Throws `result_constant` where every pixel has one colour: no prompt asks for that, a broken model does it. */
export function checkPicture(picture: Picture): void {
  const [red, green, blue] = picture.data;
  for (let i = 0; i < picture.data.length; i += 3) {
    if (picture.data[i] !== red || picture.data[i + 1] !== green || picture.data[i + 2] !== blue) return;
  }
  throw new KandinskyError("result_constant", {
    what: "the picture has one colour only",
    seen: `rgb(${red}, ${green}, ${blue}) in all of ${picture.width}x${picture.height} pixels`,
    hint: "try another seed or less guidance; if it stays, check the model files with `kandinsky inspect`",
  });
}

/** Height and width of [C,H,W] or [1,C,H,W]; throws `tensor_shape` otherwise. */
export function planesOf(t: Tensor, channels: number): { height: number; width: number } {
  const shape = t.shape.length === 4 && t.shape[0] === 1 ? t.shape.slice(1) : t.shape;
  const [count, height = 0, width = 0] = shape;
  if (shape.length !== 3 || count !== channels || height < 1 || width < 1) {
    throw new KandinskyError("tensor_shape", {
      what: "cannot make a picture",
      seen: formatShape(t.shape),
      wanted: `[${channels},H,W] or [1,${channels},H,W]`,
    });
  }
  return { height, width };
}

function notFinite(value: number, channel: number, x: number, y: number): KandinskyError {
  return new KandinskyError("result_not_finite", {
    what: "the picture has a value that is not a number",
    where: `channel ${channel}, column ${x}, row ${y}`,
    seen: String(value),
    wanted: "finite values",
    hint: "half-precision overflow or a damaged model file makes these; check it with `kandinsky inspect`",
  });
}
