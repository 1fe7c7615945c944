import type { Draws } from "../random/mod.ts";
import type { Maker } from "./maker.ts";
import { boundsOf, fitOf } from "./object.ts";
import { type AlphaMap, type PlacedObject, type Precision, point, rounded, type Size } from "./spec.ts";

const PRECISIONS: readonly { readonly level: Precision; readonly weight: number }[] = [
  { level: 0, weight: 0.3 },
  { level: 1, weight: 0.2 },
  { level: 2, weight: 0.2 },
  { level: 3, weight: 0.15 },
  { level: "box", weight: 0.15 },
];

const SCALE = 0.25;
/** How much of an object's side may lie outside of the picture. */
const HIDDEN = 0.2;

/** The shape of one of the objects, elsewhere and in another size, followed more or less closely. */
export const objectShape: Maker = (draws, size, objects) => {
  const precision = draws.pick(PRECISIONS, ({ weight }) => weight).level;
  return [place(draws, size, draws.pick(objects), precision)];
};

/** The bounding box of one of the objects, 1.1 to 1.5 times as large. */
export const objectBox: Maker = (draws, size, objects) => {
  const grow = rounded(draws.uniform(1.1, 1.5));
  return [{ ...place(draws, size, draws.pick(objects), "box"), grow }];
};

function place(draws: Draws, size: Size, map: AlphaMap, precision: Precision): PlacedObject {
  const scale = rounded(draws.uniform(1 - SCALE, 1 + SCALE));
  const pixels = scale * fitOf(map, size);
  const bounds = boundsOf(map);
  const flip = draws.chance(0.5);
  const left = flip ? map.width - bounds.left - bounds.width : bounds.left;
  return {
    shape: "object",
    id: map.id,
    flip,
    scale,
    center: point(
      drawPlace(draws, size.width, bounds.width * pixels) +
        (map.width / 2 - left - bounds.width / 2) * pixels,
      drawPlace(draws, size.height, bounds.height * pixels) +
        (map.height / 2 - bounds.top - bounds.height / 2) * pixels,
    ),
    precision,
  };
}

/** The middle of something `side` long, of which at most HIDDEN is outside of an axis of this length. */
function drawPlace(draws: Draws, length: number, side: number): number {
  const margin = Math.min((0.5 - HIDDEN) * side, length / 2);
  return draws.uniform(margin, length - margin);
}
