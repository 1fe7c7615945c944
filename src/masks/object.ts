import { KandinskyError } from "../base/mod.ts";
import { blurred, grown } from "./filters.ts";
import { FILL } from "./raster.ts";
import type { AlphaMap, Box, PlacedObject, Point, Size } from "./spec.ts";

const OPAQUE = 128;

/** Sets the pixels of a placed object; throws `input_missing` where its map is not among `objects`. */
export function fillObject(
  data: Uint8Array,
  size: Size,
  placed: PlacedObject,
  objects: readonly AlphaMap[],
): void {
  const map = objects.find(({ id }) => id === placed.id);
  if (map === undefined) {
    throw new KandinskyError("input_missing", {
      what: "cannot draw the mask: its object is not there",
      where: placed.id,
      wanted: "the alpha map of this id",
    });
  }
  const { precision, grow = 1 } = placed;
  if (precision === "box") {
    const box = placedBox(map, size, placed);
    const [width, height] = [box.width * grow, box.height * grow];
    const left = box.left - (width - box.width) / 2;
    FILL.box(data, size, { shape: "box", left, top: box.top - (height - box.height) / 2, width, height });
    return;
  }
  const side = Math.min(size.width, size.height);
  const outline = placedPixels(map, size, placed);
  const wider = grown(outline, size, Math.round(GROWTH * side * (1 + precision)));
  const smooth = blurred(wider, size, BLUR * side * precision);
  for (let i = 0; i < data.length; i++) if (smooth[i]! >= 0.5) data[i] = 1;
}

/** Fractions of the shorter side, for each level of precision. */
const GROWTH = 0.02;
const BLUR = 0.01;

/** Pixels in which any pixel of the object falls: thin ones do not vanish where the map is reduced. */
function placedPixels(map: AlphaMap, size: Size, placed: PlacedObject): Uint8Array {
  const { left, top, scale } = frameOf(map, size, placed);
  const columns = footprints(size.width, left, scale, map.width, placed.flip);
  const rows = footprints(size.height, top, scale, map.height, false);
  const pixels = new Uint8Array(size.width * size.height);
  for (const [y, [top, bottom]] of rows.entries()) {
    for (const [x, [left, right]] of columns.entries()) {
      if (anyOpaque(map, left, right, top, bottom)) pixels[y * size.width + x] = 1;
    }
  }
  return pixels;
}

/** For each pixel of an axis the first pixel of the map under it and the one behind the last. */
function footprints(count: number, start: number, scale: number, length: number, flip: boolean) {
  return Array.from({ length: count }, (_, i): Point => {
    const from = Math.floor((i - start) / scale);
    const to = Math.max(Math.ceil((i + 1 - start) / scale), from + 1);
    const [first, end] = flip ? [length - to, length - from] : [from, to];
    return [Math.max(first, 0), Math.min(end, length)];
  });
}

function anyOpaque({ data, width }: AlphaMap, left: number, right: number, top: number, bottom: number) {
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) if (data[y * width + x]! >= OPAQUE) return true;
  }
  return false;
}

/** The map's frame in the picture: its upper left corner, and pixels of the picture for one of the map. */
function frameOf(map: Size, size: Size, { scale, center: [cx, cy] }: Pick<PlacedObject, "scale" | "center">) {
  const pixels = scale * fitOf(map, size);
  return { left: cx - (map.width * pixels) / 2, top: cy - (map.height * pixels) / 2, scale: pixels };
}

/** What lets the map's frame fill the picture as far as its proportions allow. */
export function fitOf(map: Size, size: Size): number {
  return Math.min(size.width / map.width, size.height / map.height);
}

/** The bounding box of a placed object in the picture. */
function placedBox(map: AlphaMap, size: Size, placed: PlacedObject): Box {
  const { left, top, scale } = frameOf(map, size, placed);
  const box = boundsOf(map);
  const inMap = placed.flip ? map.width - box.left - box.width : box.left;
  return {
    shape: "box",
    left: left + scale * inMap,
    top: top + scale * box.top,
    width: scale * box.width,
    height: scale * box.height,
  };
}

/** The bounding box of the object in its map; throws `input_missing` where nothing of it is opaque. */
export function boundsOf({ id, width, height, data }: AlphaMap): Omit<Box, "shape"> {
  let [left, right, top, bottom] = [width, 0, height, 0];
  for (let i = 0; i < data.length; i++) {
    if (data[i]! < OPAQUE) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, right, top, bottom] = [
      Math.min(left, x),
      Math.max(right, x + 1),
      Math.min(top, y),
      Math.max(bottom, y + 1),
    ];
  }
  if (right > 0) return { left, top, width: right - left, height: bottom - top };
  throw new KandinskyError("input_missing", {
    what: "this picture shows no object",
    where: id,
    seen: "no pixel with alpha of 128 or more",
    hint: "leave it out, or give pictures whose background is transparent",
  });
}
