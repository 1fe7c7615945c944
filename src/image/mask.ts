/** A soft mask over a picture: one byte a pixel, row by row, 0 keep to 255 repaint. */
export interface SoftMask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** What counts as repainted where there is only yes and no. */
const HALF = 128;

/** Whether a value of a soft mask means repainting, where there is only yes and no. */
export function isHole(value: number): boolean {
  return value >= HALF;
}

/** A rectangle of whole pixels. */
export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What is repainted is kept, and the other way round. */
export function invertMask({ width, height, data }: SoftMask): SoftMask {
  return { width, height, data: data.map((value) => 255 - value) };
}

/**
 * Every pixel takes the largest value within `radius` rows and columns of it: a hole grows by `radius` pixels to all
 * sides and into its corners, as the original's `prepare_mask` grows holes by 6.
 */
export function growMask(mask: SoftMask, radius: number): SoftMask {
  if (radius <= 0) return mask;
  const { width, height } = mask;
  const across = largestAround(mask.data, width, height, 1, width, radius);
  return { width, height, data: largestAround(across, height, width, width, 1, radius) };
}

/** Running maxima along lines of `length` values `step` apart; lines begin `next` apart. */
function largestAround(
  values: Uint8Array,
  length: number,
  lines: number,
  step: number,
  next: number,
  radius: number,
): Uint8Array {
  const result = new Uint8Array(values.length);
  for (let line = 0; line < lines; line++) {
    // Indices whose values fall: the first is the largest within reach.
    const falling: number[] = [];
    let head = 0;
    for (let i = 0; i < length + radius; i++) {
      if (i < length) {
        const value = values[line * next + i * step]!;
        while (falling.length > head && values[line * next + falling.at(-1)! * step]! <= value) falling.pop();
        falling.push(i);
      }
      const at = i - radius;
      if (at < 0) continue;
      while (falling[head]! < at - radius) head++;
      result[line * next + at * step] = values[line * next + falling[head]! * step]!;
    }
  }
  return result;
}

/**
 * How much of a repainted picture shows at every pixel, 0 to 1: all of it in the hole, and less with every pixel
 * away from it, nothing from `feather` pixels on. Soft values of the mask itself count where they are larger.
 */
export function featherMask(mask: SoftMask, feather: number): Float32Array {
  const squares = feather <= 0 ? undefined : squaredDistances(mask);
  return Float32Array.from(mask.data, (value, i) => {
    if (isHole(value)) return 1;
    const ramp = squares === undefined ? 0 : Math.max(0, 1 - Math.sqrt(squares[i]!) / (feather + 1));
    return Math.max(value / 255, ramp);
  });
}

/** Squared distances in pixels to the nearest pixel of the hole (Felzenszwalb and Huttenlocher 2012). */
function squaredDistances({ width, height, data }: SoftMask): Float64Array {
  const far = (width + height) ** 2;
  const squares = Float64Array.from(data, (value) => (isHole(value) ? 0 : far));
  for (let x = 0; x < width; x++) envelope(squares, x, width, height);
  for (let y = 0; y < height; y++) envelope(squares, y * width, 1, width);
  return squares;
}

/** The lower envelope of the parabolas over one line of values. */
function envelope(values: Float64Array, start: number, step: number, length: number): void {
  const line = Array.from({ length }, (_, i) => values[start + i * step]!);
  const roots: number[] = [0];
  const borders: number[] = [Number.NEGATIVE_INFINITY];
  const cross = (a: number, b: number) => (line[a]! + a * a - line[b]! - b * b) / (2 * a - 2 * b);
  for (let i = 1; i < length; i++) {
    while (cross(i, roots.at(-1)!) <= borders.at(-1)!) {
      roots.pop();
      borders.pop();
    }
    borders.push(cross(i, roots.at(-1)!));
    roots.push(i);
  }
  let k = 0;
  for (let i = 0; i < length; i++) {
    while (k + 1 < roots.length && borders[k + 1]! < i) k++;
    values[start + i * step] = (i - roots[k]!) ** 2 + line[roots[k]!]!;
  }
}

/** The smallest rectangle with all of the hole; undefined where there is none. */
export function holeBounds({ width, height, data }: SoftMask): Rect | undefined {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let i = 0; i < data.length; i++) {
    if (!isHole(data[i]!)) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return right < 0 ? undefined : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** A part of a mask. */
export function cropMask(mask: SoftMask, { left, top, width, height }: Rect): SoftMask {
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * mask.width + left;
    data.set(mask.data.subarray(from, from + width), y * width);
  }
  return { width, height, data };
}

/**
 * The mask at another size, as shares of 1, by linear interpolation between pixel centres and without anti-aliasing,
 * as the original resizes masks.
 */
export function resizeMask(mask: SoftMask, width: number, height: number): Float32Array {
  const [across, down] = [linearTaps(mask.width, width), linearTaps(mask.height, height)];
  const result = new Float32Array(width * height);
  for (const [y, [top, bottom, v]] of down.entries()) {
    for (const [x, [left, right, u]] of across.entries()) {
      const at = (row: number, column: number) => mask.data[row * mask.width + column]! / 255;
      const upper = at(top, left) * (1 - u) + at(top, right) * u;
      const lower = at(bottom, left) * (1 - u) + at(bottom, right) * u;
      result[y * width + x] = upper * (1 - v) + lower * v;
    }
  }
  return result;
}

/** The two source pixels of every new one, and the share of the second. */
function linearTaps(from: number, to: number): (readonly [number, number, number])[] {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const first = Math.min(Math.floor(place), from - 1);
    return [first, Math.min(first + 1, from - 1), place - first] as const;
  });
}
