import type { Picture } from "../image/mod.ts";

/** Where the colours of two pictures are made alike. */
export type ColorSpace = keyof typeof SPACES;

type Triple = [number, number, number];

interface Space {
  /** Three values in [0, 1] of red, green and blue in [0, 255]. */
  readonly from: (red: number, green: number, blue: number) => Triple;
  readonly to: (a: number, b: number, c: number) => Triple;
}

const SPACES = {
  rgb: {
    from: (red, green, blue) => [red / 255, green / 255, blue / 255],
    to: (red, green, blue) => [red * 255, green * 255, blue * 255],
  },
  hsv: { from: hsvFromRgb, to: rgbFromHsv },
  lab: { from: labFromRgb, to: rgbFromLab },
} as const satisfies Record<string, Space>;

export const COLOR_SPACES = Object.keys(SPACES) as readonly ColorSpace[];

/** Places in [0, 1] that are told apart: as fine as 16 bits hold, since 8 would cost colours at every frame. */
const BINS = 65_536;

/**
 * The picture with its colours distributed as in `reference`: each channel of the space gets the reference's
 * histogram, value for value of equal rank (Deforum's colour coherence, which takes scikit-image's
 * `match_histograms`).
 */
export function matchColors(picture: Picture, reference: Picture, space: ColorSpace): Picture {
  const { from, to }: Space = SPACES[space];
  const [source, target] = [channelsOf(picture, from), channelsOf(reference, from)];
  const tables = source.map((channel, i) => matchTable(channel, target[i]!));
  const [first, second, third] = source as [Uint16Array, Uint16Array, Uint16Array];
  const [a, b, c] = tables as [Float64Array, Float64Array, Float64Array];
  const data = new Uint8ClampedArray(picture.data.length);
  for (let i = 0, at = 0; at < data.length; i++, at += 3) {
    const [red, green, blue] = to(a[first[i]!]!, b[second[i]!]!, c[third[i]!]!);
    data[at] = red;
    data[at + 1] = green;
    data[at + 2] = blue;
  }
  return { ...picture, data: new Uint8Array(data.buffer) };
}

/** How far the colours of two pictures are apart on average: the distance of their mean CIELAB colours. */
export function colorDistance(a: Picture, b: Picture): number {
  const [first, second] = [meanLab(a), meanLab(b)];
  return Math.hypot(...first.map((value, i) => value - second[i]!));
}

function meanLab({ data }: Picture): Triple {
  const sum: Triple = [0, 0, 0];
  for (let at = 0; at < data.length; at += 3) {
    const lab = cielab(data[at]!, data[at + 1]!, data[at + 2]!);
    for (let i = 0; i < 3; i++) sum[i]! += lab[i]!;
  }
  return sum.map((value) => value / (data.length / 3)) as Triple;
}

function channelsOf({ data }: Picture, from: Space["from"]): Uint16Array[] {
  const count = data.length / 3;
  const channels = Array.from({ length: 3 }, () => new Uint16Array(count));
  const [first, second, third] = channels as [Uint16Array, Uint16Array, Uint16Array];
  for (let i = 0, at = 0; i < count; i++, at += 3) {
    const [a, b, c] = from(data[at]!, data[at + 1]!, data[at + 2]!);
    first[i] = binOf(a);
    second[i] = binOf(b);
    third[i] = binOf(c);
  }
  return channels;
}

function binOf(value: number): number {
  return Math.min(BINS - 1, Math.max(0, Math.round(value * (BINS - 1))));
}

/** The value in [0, 1] that each bin of `source` becomes: the one of equal rank in `target`. */
function matchTable(source: Uint16Array, target: Uint16Array): Float64Array {
  const ranks = ranksOf(source);
  const wanted = ranksOf(target);
  const bins: number[] = [];
  for (let bin = 0; bin < BINS; bin++) if (wanted[bin]! > (bin === 0 ? 0 : wanted[bin - 1]!)) bins.push(bin);
  const table = new Float64Array(BINS);
  let k = 0;
  for (let bin = 0; bin < BINS; bin++) {
    const rank = ranks[bin]!;
    while (k < bins.length - 1 && wanted[bins[k]!]! < rank) k++;
    const high = bins[k]!;
    const low = k === 0 ? high : bins[k - 1]!;
    const [top, bottom] = [wanted[high]!, k === 0 ? 0 : wanted[low]!];
    const share = k === 0 ? 1 : Math.min(1, (rank - bottom) / (top - bottom));
    table[bin] = (low + share * (high - low)) / (BINS - 1);
  }
  return table;
}

/** The share of values that are at most each bin. */
function ranksOf(values: Uint16Array): Float64Array {
  const ranks = new Float64Array(BINS);
  for (const value of values) ranks[value]!++;
  let sum = 0;
  for (let bin = 0; bin < BINS; bin++) {
    sum += ranks[bin]!;
    ranks[bin] = sum / values.length;
  }
  return ranks;
}

function hsvFromRgb(red: number, green: number, blue: number): Triple {
  const value = Math.max(red, green, blue);
  const range = value - Math.min(red, green, blue);
  if (range === 0) return [0, 0, value / 255];
  const sector =
    value === red
      ? (green - blue) / range
      : value === green
        ? 2 + (blue - red) / range
        : 4 + (red - green) / range;
  return [((sector + 6) % 6) / 6, range / value, value / 255];
}

function rgbFromHsv(hue: number, saturation: number, value: number): Triple {
  const channel = (offset: number) => {
    const place = (offset + hue * 6) % 6;
    return 255 * value * (1 - saturation * Math.max(0, Math.min(place, 4 - place, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** The white of sRGB (D65), and the bend of CIELAB's cube root. */
const WHITE: Triple = [0.95047, 1, 1.08883];
const BEND = 6 / 29;

/** L in [0, 100], a and b about [-110, 110]. */
function cielab(red: number, green: number, blue: number): Triple {
  const [r, g, b] = [linear(red / 255), linear(green / 255), linear(blue / 255)];
  const bent = (value: number) => (value > BEND ** 3 ? Math.cbrt(value) : value / (3 * BEND ** 2) + 4 / 29);
  const x = bent((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / WHITE[0]);
  const y = bent((0.2126729 * r + 0.7151522 * g + 0.072175 * b) / WHITE[1]);
  const z = bent((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / WHITE[2]);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

function labFromRgb(red: number, green: number, blue: number): Triple {
  const [l, a, b] = cielab(red, green, blue);
  return [l / 100, (a + 128) / 256, (b + 128) / 256];
}

function rgbFromLab(l: number, a: number, b: number): Triple {
  const y = (l * 100 + 16) / 116;
  const unbent = (value: number) => (value > BEND ? value ** 3 : 3 * BEND ** 2 * (value - 4 / 29));
  const x = unbent(y + (a * 256 - 128) / 500) * WHITE[0];
  const z = unbent(y - (b * 256 - 128) / 200) * WHITE[2];
  const w = unbent(y) * WHITE[1];
  return [
    255 * gamma(3.2404542 * x - 1.5371385 * w - 0.4985314 * z),
    255 * gamma(-0.969266 * x + 1.8760108 * w + 0.041556 * z),
    255 * gamma(0.0556434 * x - 0.2040259 * w + 1.0572252 * z),
  ];
}

function linear(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function gamma(value: number): number {
  if (value <= 0.0031308) return 12.92 * Math.max(0, value);
  return 1.055 * value ** (1 / 2.4) - 0.055;
}
