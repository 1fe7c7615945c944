import { type Picture, tensorFromPicture } from "../image/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { MovqRunner } from "./movq-runner.node.ts";
import { type Cover, coverMap, cropWindow, type MapSize, mergeWindows, type Window } from "./windows.ts";

/** Larger canvases go through the MoVQ in overlapping parts of at most this many pixels. */
const PART_PIXELS = 2 ** 20;
/** Share of a part that its neighbour covers too. */
const OVERLAP = 0.125;
/** Cells that a decoder sees past the seam of a map that wraps around. */
const SEAM_CELLS = 8;

/** The latent [1,C,h,w] of a picture of any size in whole units; `cell` is the pixels of a cell. */
export async function encodeCanvas(
  movq: MovqRunner,
  picture: Picture,
  cell: number,
): Promise<Tensor<"float32">> {
  return encodeImage(movq, tensorFromPicture(picture), cell);
}

/** As `encodeCanvas`, of a tensor [1,3,H,W]. */
export async function encodeImage(
  movq: MovqRunner,
  image: Tensor<"float32">,
  cell: number,
  partPixels = PART_PIXELS,
): Promise<Tensor<"float32">> {
  const map = { height: image.shape[2]! / cell, width: image.shape[3]! / cell };
  const windows = partsOf(map, cell, false, partPixels);
  const parts = windows.map((window) => cropWindow(image, 0, scaled(window, cell)));
  const encoded = await movq.encode(parts);
  return windows.length === 1 ? encoded[0]! : mergeWindows(encoded, windows, map);
}

/** The picture [1,3,H,W] of a latent of any size; with `wrap` its right end goes on at the left. */
export async function decodeCanvas(
  movq: MovqRunner,
  latent: Tensor<"float32">,
  cell: number,
  wrap: boolean,
  partPixels = PART_PIXELS,
): Promise<Tensor<"float32">> {
  const [height, width] = latent.shape.slice(2) as [number, number];
  const windows = partsOf({ width, height }, cell, wrap, partPixels);
  if (windows.length === 1) {
    if (!wrap) return movq.decode(latent);
    const seam = Math.min(SEAM_CELLS, width);
    const around = cropWindow(latent, 0, { x: width - seam, y: 0, width: width + 2 * seam, height });
    const inner = scaled({ x: seam, y: 0, width, height }, cell);
    return cropWindow(await movq.decode(around), 0, inner);
  }
  const parts: Tensor<"float32">[] = [];
  for (const window of windows) parts.push(await movq.decode(cropWindow(latent, 0, window)));
  const places = windows.map((window) => scaled(window, cell));
  return mergeWindows(parts, places, { width: width * cell, height: height * cell });
}

/** Pixels of the parts in which a canvas goes through the MoVQ, and how many there are. */
export function canvasParts(
  canvas: MapSize,
  cell: number,
): { readonly width: number; readonly height: number; readonly count: number } {
  const map = { width: canvas.width / cell, height: canvas.height / cell };
  const parts = partsOf(map, cell, false, PART_PIXELS);
  const { width, height } = scaled(parts[0]!, cell);
  return { width, height, count: parts.length };
}

function partsOf(map: MapSize, cell: number, wrap: boolean, partPixels: number): Window[] {
  const limit = partPixels / cell ** 2;
  if (map.width * map.height <= limit) return [{ x: 0, y: 0, ...map }];
  const short = Math.min(map.width, map.height, Math.floor(Math.sqrt(limit)));
  const long = Math.floor(limit / short);
  const isWide = map.width >= map.height;
  const cover: Cover = {
    width: isWide ? long : short,
    height: isWide ? short : long,
    overlap: OVERLAP,
    wrap,
  };
  return coverMap(map, cover);
}

function scaled({ x, y, width, height }: Window, factor: number): Window {
  return { x: x * factor, y: y * factor, width: width * factor, height: height * factor };
}
