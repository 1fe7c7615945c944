import { KandinskyError } from "../base/mod.ts";
import type { Evaluation, Network, NoiseSource } from "../diffusion/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";
import type { Job, PictureJob } from "./job.ts";
import type { PicturePrompts } from "./text.ts";
import { coverMap, cropWindow, type MapSize, mergeWindows, type Window, windowsWithHole } from "./windows.ts";

/** What the network sees as one row: a whole picture, or a window of a larger one. */
export interface Tile extends PicturePrompts {
  /** Row of the latents that are denoised, and the window of it. */
  readonly row: number;
  readonly at: Window;
  /** The same place on the canvas. */
  readonly from: Window;
}

/** How the pictures of a group are denoised. */
export interface Layout {
  /** Cells of the canvas. */
  readonly map: MapSize;
  readonly tiles: readonly Tile[];
  /** Present where every window is a row of its own, and rows are put together in the end. */
  readonly windows?: readonly Window[];
}

/**
 * The tiles of a group: every picture as a whole, or the windows of its one picture. Windows with nothing of `hole`
 * [1,1,h,w] in them are left out.
 */
export function layOut(
  job: Job,
  group: readonly PictureJob[],
  cell: number,
  hole: Tensor<"float32"> | undefined,
): Layout {
  const map = { width: job.canvas.width / cell, height: job.canvas.height / cell };
  if (!("windows" in job)) return wholeLayout(group, map);
  const { negative, prompt } = group[0]!;
  const sections = "sections" in job ? job.sections : [prompt];
  const { width, height, overlap, wrap, join } = job.windows;
  const all = coverMap(map, { width: width / cell, height: height / cell, overlap, wrap });
  const windows = hole === undefined ? all : windowsWithHole(all, hole);
  const tiles = windows.map((window, index) => ({
    prompt: sectionAt(sections, window, map),
    negative,
    from: window,
    ...(join === "average" ? { row: 0, at: window } : { row: index, at: { ...window, x: 0, y: 0 } }),
  }));
  return join === "average" ? { map, tiles } : { map, tiles, windows };
}

/** Every picture as one tile. */
export function wholeLayout(pictures: readonly PicturePrompts[], map: MapSize): Layout {
  const whole = { x: 0, y: 0, ...map };
  const tiles = pictures.map(({ prompt, negative }, row) => ({
    prompt,
    negative,
    row,
    at: whole,
    from: whole,
  }));
  return { map, tiles };
}

/** The prompt of the section that the middle of a window lies in. */
function sectionAt(sections: readonly string[], { x, width }: Window, map: MapSize): string {
  const middle = (x + width / 2) % map.width;
  return sections[Math.min(sections.length - 1, Math.floor((middle / map.width) * sections.length))]!;
}

/** The rows that a layout denoises, out of a map of the whole canvas for each picture. */
export function rowsOf(layout: Layout, canvas: Tensor<"float32">): Tensor<"float32"> {
  if (layout.windows === undefined) return canvas;
  return concatRows(layout.windows.map((window) => cropWindow(canvas, 0, window)));
}

/** The noise of a layout's rows: windows get their part of the noise of the whole canvas. */
export function noiseOf(layout: Layout, noise: NoiseSource): NoiseSource {
  return { start: rowsOf(layout, noise.start), step: (index) => rowsOf(layout, noise.step(index)) };
}

/** The canvas that denoised rows make. `known` [1,C,h,w] is what lies where no window is. */
export function canvasOf(
  { windows, map }: Layout,
  rows: Tensor<"float32">,
  known: Tensor<"float32"> | undefined,
): Tensor<"float32"> {
  if (windows === undefined) return rows;
  const parts = windows.map((_, index) => row(rows, index));
  const merged = mergeWindows(parts, windows, map);
  if (known === undefined) return merged;
  const ones = windows.map(({ width, height }) => ({
    ...merged,
    shape: [1, 1, height, width],
    data: new Float32Array(width * height).fill(1),
  }));
  const covered = mergeWindows(ones, windows, map).data;
  const data = merged.data.map((value, i) => (covered[i % covered.length] === 0 ? known.data[i]! : value));
  return { ...merged, data };
}

/** Some tiles that are evaluated together; the last ones may be there only to fill up. */
export interface Batch {
  readonly tiles: readonly Tile[];
  /** Predictions [tiles,C,h,w] for inputs [tiles,D,h,w]. */
  readonly evaluate: (
    input: Tensor<"float32">,
    evaluation: Pick<Evaluation, "index" | "guided">,
  ) => Promise<{ readonly conditional: Tensor<"float32">; readonly unconditional?: Tensor<"float32"> }>;
}

/** Indices of tiles in batches of one size: at most `most`, evenly, the last filled up with its last tile. */
export function batchesOf(count: number, most: number): number[][] {
  const batches = Math.ceil(count / most);
  const size = Math.ceil(count / batches);
  return Array.from({ length: batches }, (_, k) =>
    Array.from({ length: size }, (_value, i) => Math.min(k * size + i, count - 1)),
  );
}

/**
 * A network over whole rows from one over tiles: overlapping predictions become their mean. `extra` [1,D,H,W] of the
 * canvas goes behind the channels of every tile.
 */
export function networkOfTiles(
  { tiles, map, windows }: Layout,
  batches: readonly Batch[],
  extra: Tensor<"float32"> | undefined,
): Network {
  const count = Math.max(...tiles.map((tile) => tile.row)) + 1;
  const isWhole = windows !== undefined || tiles.every(({ at }) => covers(at, map));
  const join = (predictions: ReadonlyMap<Tile, Tensor<"float32">>) => {
    if (isWhole) return concatRows(tiles.map((tile) => predictions.get(tile)!));
    const rows = Array.from({ length: count }, (_, index) => {
      const own = tiles.filter((tile) => tile.row === index);
      const parts = own.map((tile) => predictions.get(tile)!);
      return mergeWindows(
        parts,
        own.map(({ at }) => at),
        map,
      );
    });
    return concatRows(rows);
  };
  return async (x, evaluation) => {
    const conditional = new Map<Tile, Tensor<"float32">>();
    const unconditional = new Map<Tile, Tensor<"float32">>();
    for (const batch of batches) {
      const inputs = batch.tiles.map((tile) => {
        const own = isWhole ? row(x, tile.row) : cropWindow(x, tile.row, tile.at);
        return extra === undefined ? own : withChannels(own, cropWindow(extra, 0, tile.from));
      });
      const predictions = await batch.evaluate(concatRows(inputs), evaluation);
      for (const [k, tile] of batch.tiles.entries()) {
        conditional.set(tile, row(predictions.conditional, k));
        if (predictions.unconditional !== undefined)
          unconditional.set(tile, row(predictions.unconditional, k));
      }
    }
    return {
      conditional: join(conditional),
      ...(unconditional.size > 0 ? { unconditional: join(unconditional) } : {}),
    };
  };
}

function covers({ x, y, width, height }: Window, map: MapSize): boolean {
  return x === 0 && y === 0 && width === map.width && height === map.height;
}

/** [1,C,H,W] with the channels of [1,D,H,W] behind its own. */
export function withChannels(x: Tensor<"float32">, extra: Tensor<"float32">): Tensor<"float32"> {
  const [, channels, ...map] = x.shape as [number, number, number, number];
  if (extra.shape.slice(2).join() !== map.join()) {
    throw new KandinskyError("tensor_shape", {
      what: "cannot put channels behind a latent",
      seen: `[${extra.shape.join(",")}]`,
      wanted: `[1,*,${map.join(",")}]`,
    });
  }
  const data = new Float32Array(x.data.length + extra.data.length);
  data.set(x.data);
  data.set(extra.data, x.data.length);
  return { dtype: "float32", shape: [1, channels + extra.shape[1]!, ...map], data };
}
