import { float32, type Tensor } from "../tensor/mod.ts";

/** A part of a map, in cells. Where a map wraps around, a window may go on past its right end. */
export interface Window {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Height and width of a map. */
export interface MapSize {
  readonly width: number;
  readonly height: number;
}

/** How windows cover a map. */
export interface Cover extends MapSize {
  /** Share of a window that the next one covers again, at least; 0 to 1. */
  readonly overlap: number;
  /** Whether the map's right end goes on at its left. */
  readonly wrap: boolean;
}

/** Windows, row by row, that cover a map; a map no larger than a window is one. */
export function coverMap(map: MapSize, cover: Cover): Window[] {
  const width = Math.min(cover.width, map.width);
  const height = Math.min(cover.height, map.height);
  const wrap = cover.wrap && width < map.width;
  const across = wrap
    ? roundStarts(map.width, width, cover.overlap)
    : starts(map.width, width, cover.overlap);
  return starts(map.height, height, cover.overlap).flatMap((y) =>
    across.map((x) => ({ x, y, width, height })),
  );
}

/** Evenly from the first cell to where the last window ends with the map. */
function starts(length: number, window: number, overlap: number): number[] {
  const gaps = Math.ceil((length - window) / Math.max(1, Math.floor(window * (1 - overlap))));
  return Array.from({ length: gaps + 1 }, (_, i) =>
    gaps === 0 ? 0 : Math.round(((length - window) * i) / gaps),
  );
}

/** Evenly around a map without ends. */
function roundStarts(length: number, window: number, overlap: number): number[] {
  const count = Math.ceil(length / Math.max(1, Math.floor(window * (1 - overlap))));
  return Array.from({ length: count }, (_, i) => Math.round((length * i) / count));
}

/** The window of row `index` of [B,C,H,W], as [1,C,h,w]. */
export function cropWindow(map: Tensor<"float32">, index: number, window: Window): Tensor<"float32"> {
  const [, channels, rows, columns] = map.shape as [number, number, number, number];
  const { x, y, width, height } = window;
  const data = new Float32Array(channels * width * height);
  for (let channel = 0; channel < channels; channel++) {
    for (let v = 0; v < height; v++) {
      const from = ((index * channels + channel) * rows + y + v) * columns;
      const to = (channel * height + v) * width;
      for (let u = 0; u < width; u++) data[to + u] = map.data[from + ((x + u) % columns)]!;
    }
  }
  return float32([1, channels, height, width], data);
}

/**
 * The map [1,C,H,W] whose windows are `parts` [1,C,h,w]. Where windows overlap it is their mean, each counting less
 * towards its own border; where there is none it is 0.
 */
export function mergeWindows(
  parts: readonly Tensor<"float32">[],
  windows: readonly Window[],
  { width: columns, height: rows }: MapSize,
): Tensor<"float32"> {
  const channels = parts[0]?.shape[1] ?? 0;
  const sum = new Float64Array(channels * rows * columns);
  const weights = new Float64Array(rows * columns);
  for (const [k, { x, y, width, height }] of windows.entries()) {
    const [across, down] = [ramp(width), ramp(height)];
    const { data } = parts[k]!;
    for (let v = 0; v < height; v++) {
      for (let u = 0; u < width; u++) {
        const at = (y + v) * columns + ((x + u) % columns);
        const weight = across[u]! * down[v]!;
        weights[at]! += weight;
        for (let channel = 0; channel < channels; channel++) {
          sum[channel * rows * columns + at]! += weight * data[(channel * height + v) * width + u]!;
        }
      }
    }
  }
  const merged = Float32Array.from(sum, (value, i) => {
    const weight = weights[i % (rows * columns)]!;
    return weight === 0 ? 0 : value / weight;
  });
  return float32([1, channels, rows, columns], merged);
}

/** Rises from a border to the middle and falls again: two windows that overlap pass over into each other. */
function ramp(length: number): number[] {
  return Array.from({ length }, (_, i) => Math.min(i + 0.5, length - i - 0.5));
}

/** Windows that have a cell of the hole [1,1,H,W] in them: elsewhere there is nothing to draw. */
export function windowsWithHole(windows: readonly Window[], hole: Tensor<"float32">): Window[] {
  return windows.filter((window) => cropWindow(hole, 0, window).data.some((value) => value > 0));
}
