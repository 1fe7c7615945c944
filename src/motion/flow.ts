import type { Picture } from "../image/mod.ts";

/** For each pixel of one picture, how far right and down it lies in the other, in pixels. */
export interface Flow {
  readonly width: number;
  readonly height: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
}

interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** Sides of the smallest pyramid level, steps a level, and half the side of the window that moves as one. */
const SMALLEST = 12;
const ITERATIONS = 6;
const RADIUS = 4;

/** Added to the structure of a window, in squared levels of 255: flat windows stay where their level put them. */
const DAMPING = 4;

/**
 * Dense optical flow from `a` to `b`: Lucas and Kanade's least squares over a window at every pixel, from the smallest
 * level of a pyramid to the largest, warping in between (B. Lucas, T. Kanade 1981; J.-Y. Bouguet 2001).
 */
export function opticalFlow(a: Picture, b: Picture): Flow {
  const first = pyramid(gray(a));
  const second = pyramid(gray(b));
  let flow: Flow | undefined;
  for (let level = first.length - 1; level >= 0; level--) {
    flow = refine(first[level]!, second[level]!, flow);
  }
  return flow!;
}

/**
 * The picture between two: at `share` of the way from `a` to `b`, each moved along the flow and then mixed.
 * 0 gives `a` and 1 gives `b`.
 */
export function blendAlongFlow(a: Picture, b: Picture, share: number): Picture {
  if (share <= 0) return a;
  if (share >= 1) return b;
  const flow = opticalFlow(a, b);
  const { width, height } = a;
  const data = new Uint8ClampedArray(a.data.length);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const u = flow.x[y * width + x]!;
      const v = flow.y[y * width + x]!;
      for (let channel = 0; channel < 3; channel++) {
        const before = bilinear(a.data, width, height, x - share * u, y - share * v, 3, channel);
        const after = bilinear(b.data, width, height, x + (1 - share) * u, y + (1 - share) * v, 3, channel);
        data[at + channel] = (1 - share) * before + share * after;
      }
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/** Each pixel mixed where it stands. */
export function blendLinear(a: Picture, b: Picture, share: number): Picture {
  const data = new Uint8ClampedArray(a.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (1 - share) * a.data[i]! + share * b.data[i]!;
  return { ...a, data: new Uint8Array(data.buffer) };
}

function gray({ width, height, data }: Picture): Plane {
  const values = new Float32Array(width * height);
  for (let i = 0, at = 0; i < values.length; i++, at += 3) {
    values[i] = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
  }
  return { width, height, data: values };
}

function pyramid(plane: Plane): Plane[] {
  const levels = [plane];
  for (let top = plane; Math.min(top.width, top.height) >= 2 * SMALLEST; levels.push(top)) top = halved(top);
  return levels;
}

/** Half the sides, each pixel the mean of the four that it covers. */
function halved({ width, height, data }: Plane): Plane {
  const [w, h] = [width >> 1, height >> 1];
  const values = new Float32Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const at = 2 * y * width + 2 * x;
      values[y * w + x] = (data[at]! + data[at + 1]! + data[at + width]! + data[at + width + 1]!) / 4;
    }
  }
  return { width: w, height: h, data: values };
}

/** The flow of a level, beginning with that of the smaller level. */
function refine(a: Plane, b: Plane, coarse: Flow | undefined): Flow {
  const { width, height } = a;
  const flow = enlarged(coarse, width, height);
  const size = width * height;
  const [gx, gy] = gradients(a);
  const products = [0, 1, 2].map(() => new Float32Array(size)) as [Float32Array, Float32Array, Float32Array];
  for (let i = 0; i < size; i++) {
    products[0][i] = gx[i]! * gx[i]!;
    products[1][i] = gx[i]! * gy[i]!;
    products[2][i] = gy[i]! * gy[i]!;
  }
  const [xx, xy, yy] = products.map((values) => boxMean(values, width, height)) as typeof products;
  const [errorX, errorY] = [new Float32Array(size), new Float32Array(size)];
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const [u, v] = [x + flow.x[i]!, y + flow.y[i]!];
        // What has left the picture says nothing.
        const isInside = u >= 0 && v >= 0 && u <= width - 1 && v <= height - 1;
        const error = isInside ? a.data[i]! - bilinear(b.data, width, height, u, v, 1, 0) : 0;
        errorX[i] = gx[i]! * error;
        errorY[i] = gy[i]! * error;
      }
    }
    const [ex, ey] = [boxMean(errorX, width, height), boxMean(errorY, width, height)];
    for (let i = 0; i < size; i++) {
      const [p, q] = [xx[i]! + DAMPING, yy[i]! + DAMPING];
      const determinant = p * q - xy[i]! * xy[i]!;
      // Beyond one pixel a straight line says nothing about the picture any more.
      flow.x[i]! += limited((q * ex[i]! - xy[i]! * ey[i]!) / determinant);
      flow.y[i]! += limited((p * ey[i]! - xy[i]! * ex[i]!) / determinant);
    }
    flow.x.set(boxMean(flow.x, width, height, 1));
    flow.y.set(boxMean(flow.y, width, height, 1));
  }
  return flow;
}

function limited(step: number): number {
  return Math.min(1, Math.max(-1, step));
}

/** The flow at twice the size, twice as long. */
function enlarged(coarse: Flow | undefined, width: number, height: number): Flow {
  const [x, y] = [new Float32Array(width * height), new Float32Array(width * height)];
  if (coarse !== undefined) {
    for (let row = 0, i = 0; row < height; row++) {
      for (let column = 0; column < width; column++, i++) {
        const [u, v] = [(column - 0.5) / 2, (row - 0.5) / 2];
        x[i] = 2 * bilinear(coarse.x, coarse.width, coarse.height, u, v, 1, 0);
        y[i] = 2 * bilinear(coarse.y, coarse.width, coarse.height, u, v, 1, 0);
      }
    }
  }
  return { width, height, x, y };
}

function gradients({ width, height, data }: Plane): [Float32Array, Float32Array] {
  const [gx, gy] = [new Float32Array(data.length), new Float32Array(data.length)];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const [left, right] = [Math.max(0, x - 1), Math.min(width - 1, x + 1)];
      const [up, down] = [Math.max(0, y - 1), Math.min(height - 1, y + 1)];
      gx[i] = (data[y * width + right]! - data[y * width + left]!) / Math.max(1, right - left);
      gy[i] = (data[down * width + x]! - data[up * width + x]!) / Math.max(1, down - up);
    }
  }
  return [gx, gy];
}

/** The mean over the window at each pixel, cut at the edges; running sums, so that its size costs nothing. */
function boxMean(values: Float32Array, width: number, height: number, radius = RADIUS): Float32Array {
  const across = slide(values, width, height, 1, width, radius);
  return slide(across, height, width, width, 1, radius);
}

function slide(
  values: Float32Array,
  length: number,
  lines: number,
  step: number,
  jump: number,
  radius: number,
): Float32Array {
  const output = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    const start = line * jump;
    let sum = 0;
    let count = 0;
    for (let i = 0; i < Math.min(radius, length); i++, count++) sum += values[start + i * step]!;
    for (let i = 0; i < length; i++) {
      if (i + radius < length) {
        sum += values[start + (i + radius) * step]!;
        count++;
      }
      if (i - radius - 1 >= 0) {
        sum -= values[start + (i - radius - 1) * step]!;
        count--;
      }
      output[start + i * step] = sum / count;
    }
  }
  return output;
}

/** A value between pixels, level beyond the edges. */
function bilinear(
  values: Float32Array | Uint8Array,
  width: number,
  height: number,
  x: number,
  y: number,
  channels: number,
  channel: number,
): number {
  const u = Math.min(width - 1, Math.max(0, x));
  const v = Math.min(height - 1, Math.max(0, y));
  const left = Math.min(Math.floor(u), Math.max(0, width - 2));
  const top = Math.min(Math.floor(v), Math.max(0, height - 2));
  const [p, q] = [u - left, v - top];
  const right = Math.min(left + 1, width - 1);
  const bottom = Math.min(top + 1, height - 1);
  const at = (column: number, row: number) => values[channels * (row * width + column) + channel]!;
  const upper = at(left, top) * (1 - p) + at(right, top) * p;
  const lower = at(left, bottom) * (1 - p) + at(right, bottom) * p;
  return upper * (1 - q) + lower * q;
}
