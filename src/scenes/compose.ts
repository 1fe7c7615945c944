import type { Picture } from "../image/mod.ts";
import { BACKGROUNDS } from "./backgrounds.ts";
import type { Placed, SceneSpec } from "./spec.ts";

/** Side of the masters, pixels. */
export const MASTER_SIDE = 128;

/** The drawn subjects: premultiplied RGBA of `MASTER_SIDE` squared, by `STYLE/CODE`. */
export type Masters = ReadonlyMap<string, Uint8Array>;

/**
 * The picture of a scene: every subject's master averaged over the area of each pixel and laid over the background.
 * The scene's square is as large as fits and in the middle. Plain arithmetic, so equal input gives equal bytes on
 * every machine.
 */
export function composeScene(
  spec: SceneSpec,
  masters: Masters,
  width: number,
  height: number = width,
): Picture {
  const [red, green, blue] = BACKGROUNDS[spec.background];
  const canvas = new Float32Array(3 * width * height);
  for (let i = 0; i < canvas.length; i += 3) {
    canvas[i] = red;
    canvas[i + 1] = green;
    canvas[i + 2] = blue;
  }
  for (const place of spec.subjects) {
    lay(canvas, width, height, masters.get(`${spec.style}/${place.code}`)!, place);
  }
  const data = new Uint8Array(canvas.length);
  for (let i = 0; i < canvas.length; i++) data[i] = canvas[i]! + 0.5;
  return { width, height, data };
}

/**
 * How opaque a subject of a scene is at the middle of every pixel, 0 to 255: its shape in the picture that `composeScene`
 * draws, whatever lies over it.
 */
export function subjectAlpha(
  spec: SceneSpec,
  { code, left, top, side }: Placed,
  masters: Masters,
  width: number,
  height: number = width,
): Uint8Array {
  const master = masters.get(`${spec.style}/${code}`)!;
  const square = Math.min(width, height);
  const data = new Uint8Array(width * height);
  const samplesOf = (size: number, from: number) =>
    Array.from({ length: size }, (_, pixel) => {
      const sample = Math.floor((((pixel + 0.5 - (size - square) / 2) / square - from) / side) * MASTER_SIDE);
      return sample >= 0 && sample < MASTER_SIDE ? sample : undefined;
    });
  const columns = samplesOf(width, left);
  for (const [y, v] of samplesOf(height, top).entries()) {
    if (v === undefined) continue;
    for (const [x, u] of columns.entries()) {
      if (u !== undefined) data[y * width + x] = master[4 * (v * MASTER_SIDE + u) + 3]!;
    }
  }
  return data;
}

/** Averages along rows first, then along columns: the same weights for all pixels of a row or column. */
function lay(
  canvas: Float32Array,
  width: number,
  height: number,
  master: Uint8Array,
  { left, top, side }: Placed,
): void {
  const square = Math.min(width, height);
  const across = coverage((width - square) / 2 + left * square, side * square, width);
  const down = coverage((height - square) / 2 + top * square, side * square, height);
  const columns = across.weights.length;
  const narrowed = new Float32Array(MASTER_SIDE * columns * 4);
  for (let y = 0; y < MASTER_SIDE; y++) {
    for (let x = 0; x < columns; x++) {
      const weights = across.weights[x]!;
      let r = 0;
      let g = 0;
      let b = 0;
      let a = 0;
      let at = 4 * (y * MASTER_SIDE + across.starts[x]!);
      for (let i = 0; i < weights.length; i++, at += 4) {
        const weight = weights[i]!;
        r += weight * master[at]!;
        g += weight * master[at + 1]!;
        b += weight * master[at + 2]!;
        a += weight * master[at + 3]!;
      }
      const to = 4 * (y * columns + x);
      narrowed[to] = r;
      narrowed[to + 1] = g;
      narrowed[to + 2] = b;
      narrowed[to + 3] = a;
    }
  }
  for (let y = 0; y < down.weights.length; y++) {
    const weights = down.weights[y]!;
    for (let x = 0; x < columns; x++) {
      let r = 0;
      let g = 0;
      let b = 0;
      let a = 0;
      let at = 4 * (down.starts[y]! * columns + x);
      for (let i = 0; i < weights.length; i++, at += 4 * columns) {
        const weight = weights[i]!;
        r += weight * narrowed[at]!;
        g += weight * narrowed[at + 1]!;
        b += weight * narrowed[at + 2]!;
        a += weight * narrowed[at + 3]!;
      }
      const to = 3 * ((down.first + y) * width + across.first + x);
      const rest = 1 - a / 255;
      canvas[to] = r + canvas[to]! * rest;
      canvas[to + 1] = g + canvas[to + 1]! * rest;
      canvas[to + 2] = b + canvas[to + 2]! * rest;
    }
  }
}

interface Coverage {
  /** The first pixel that the master touches. */
  readonly first: number;
  /** For every pixel from there on, the first sample of the master, and the weights from there on. */
  readonly starts: number[];
  readonly weights: Float32Array[];
}

/** How samples of a master laid from `from` over `length` pixels share the pixels of one axis. */
function coverage(from: number, length: number, size: number): Coverage {
  const first = Math.max(Math.floor(from), 0);
  const last = Math.min(Math.ceil(from + length), size);
  const perPixel = MASTER_SIDE / length;
  const starts: number[] = [];
  const weights: Float32Array[] = [];
  for (let pixel = first; pixel < last; pixel++) {
    const low = Math.max((pixel - from) * perPixel, 0);
    const high = Math.min((pixel + 1 - from) * perPixel, MASTER_SIDE);
    const start = Math.min(Math.floor(low), MASTER_SIDE - 1);
    const end = Math.max(Math.ceil(high), start + 1);
    starts.push(start);
    weights.push(
      Float32Array.from({ length: end - start }, (_, i) => {
        const covered = Math.min(high, start + i + 1) - Math.max(low, start + i);
        return Math.max(covered, 0) / perPixel;
      }),
    );
  }
  return { first, starts, weights };
}
