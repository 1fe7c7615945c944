import { clamp } from "../base/mod.ts";
import type { Draws } from "../random/mod.ts";
import { type Maker, unitOf } from "./maker.ts";
import { type Box, type Point, point, rounded, type Size, type Stroke } from "./spec.ts";

/** A range with both ends. */
export type Range = readonly [low: number, high: number];

interface LamaStrokes {
  /** Side for which the lengths are given. */
  readonly reference: number;
  readonly times: Range;
  readonly maxAngle: number;
  readonly maxLength: number;
  readonly maxWidth: number;
}

/**
 * Strokes of 1 to 5 segments of one direction, with a width of each segment's own.
 * Source: Suvorov et al., "Resolution-robust large mask inpainting with Fourier convolutions", WACV 2022, and its code.
 */
export function lamaStrokes({ reference, times, maxAngle, maxLength, maxWidth }: LamaStrokes): Maker {
  return (draws, size) => {
    const unit = unitOf(size, reference);
    return Array.from({ length: draws.whole(...times) }, (_, stroke) => {
      let [x, y] = startIn(draws, size);
      return Array.from({ length: draws.whole(1, 5) }, (): Stroke => {
        const turn = 0.01 + draws.whole(0, maxAngle - 1);
        const angle = stroke % 2 === 0 ? 2 * Math.PI - turn : turn;
        const length = (10 + draws.whole(0, maxLength - 1)) * unit;
        const width = rounded((5 + draws.whole(0, maxWidth - 1)) * unit);
        const from = point(x, y);
        x = clamp(x + length * Math.sin(angle), 0, size.width);
        y = clamp(y + length * Math.cos(angle), 0, size.height);
        return { shape: "stroke", points: [from, point(x, y)], width };
      });
    }).flat();
  };
}

interface LamaBoxes {
  readonly reference: number;
  readonly times: Range;
  readonly side: Range;
  readonly margin: number;
}

/** Boxes that keep a margin. Source: as `lamaStrokes`. */
export function lamaBoxes({ reference, times, side, margin }: LamaBoxes): Maker {
  return (draws, size) => {
    const unit = unitOf(size, reference);
    return Array.from({ length: draws.whole(...times) }, () => {
      const [width, height] = [draws.uniform(...side) * unit, draws.uniform(...side) * unit];
      return boxAt(
        draws.uniform(margin * unit, size.width - margin * unit - width),
        draws.uniform(margin * unit, size.height - margin * unit - height),
        width,
        height,
      );
    });
  };
}

interface Walks {
  readonly strokes: Range;
  readonly vertices: Range;
  /** One of these ranges for each stroke. In pixels of a picture with sides of `reference`. */
  readonly widths: readonly Range[];
  readonly reference: number;
}

const MEAN_ANGLE = (2 * Math.PI) / 5;
const ANGLE_SPREAD = (2 * Math.PI) / 15;

/**
 * Strokes that turn to and fro, with round joints; a stroke has its start and as many vertices as are drawn.
 * Source: Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, and its code.
 */
export function walks({ strokes, vertices, widths, reference }: Walks): Maker {
  return (draws, size) => {
    const step = Math.hypot(size.width, size.height) / 8;
    return Array.from({ length: draws.whole(...strokes) }, (): Stroke => {
      const least = MEAN_ANGLE - draws.uniform(0, ANGLE_SPREAD);
      const most = MEAN_ANGLE + draws.uniform(0, ANGLE_SPREAD);
      let [x, y] = startIn(draws, size);
      const points = [point(x, y)];
      for (let i = draws.whole(...vertices); i > 0; i--) {
        const turn = draws.uniform(least, most);
        const angle = points.length % 2 === 0 ? turn : 2 * Math.PI - turn;
        const length = clamp(draws.normal(step, step / 2), 0, 2 * step);
        x = clamp(x + length * Math.cos(angle), 0, size.width);
        y = clamp(y + length * Math.sin(angle), 0, size.height);
        points.push(point(x, y));
      }
      const width = draws.uniform(...draws.pick(widths)) * unitOf(size, reference);
      return { shape: "stroke", points, width: rounded(width) };
    });
  };
}

/** One box of half the side, shrunk by up to a sixteenth of the side at each edge. Source: as `walks`. */
export const deepfillBox: Maker = (draws, size) => {
  const [width, height] = [size.width / 2, size.height / 2];
  const left = draws.uniform(0, size.width - width);
  const top = draws.uniform(0, size.height - height);
  const [dx, dy] = [draws.uniform(0, width / 8), draws.uniform(0, height / 8)];
  return [boxAt(left + dx, top + dy, width - 2 * dx, height - 2 * dy)];
};

/** Up to `count - 1` boxes of up to `part` of the sides, half of which may lie outside. */
export function overflowingBoxes(count: number, part: number): Maker {
  return (draws, size) =>
    Array.from({ length: draws.whole(0, count - 1) }, () => {
      const width = draws.uniform(0, part * size.width);
      const height = draws.uniform(0, part * size.height);
      const left = draws.uniform(-width / 2, size.width - width / 2);
      return boxAt(left, draws.uniform(-height / 2, size.height - height / 2), width, height);
    });
}

/** What all of these makers make. */
export function together(...makers: readonly Maker[]): Maker {
  return (...inputs) => makers.flatMap((make) => make(...inputs));
}

/** A box with rounded numbers. */
export function boxAt(left: number, top: number, width: number, height: number): Box {
  const [x, y] = point(left, top);
  return { shape: "box", left: x, top: y, width: rounded(width), height: rounded(height) };
}

function startIn(draws: Draws, { width, height }: Size): Point {
  return [draws.uniform(0, width), draws.uniform(0, height)];
}
