import { clamp } from "../base/mod.ts";
import type { Draws } from "../random/mod.ts";
import type { Maker } from "./maker.ts";
import { type Box, type Layer, type Point, point, type Size } from "./spec.ts";
import { boxAt } from "./strokes.ts";

/*
 * The generator of Kandinsky 2's inpainting training (ai-forever/Kandinsky-2, train_utils), with two slips upstream.
 * A box takes its height from the draw of its width, so that boxes have the picture's proportions and blobs are
 * round: kept in `kandinsky2-*`, since the known figures hold with it, and put right in `polygon`. Its masks read
 * inverted against those of inference: not kept, 1 is hole in every maker.
 */

/** Parts of the sides. */
const BOX = [0.1, 0.62] as const;

/** A box; `isSlipped` as upstream, one draw for both sides. */
function draftBox(draws: Draws, { width, height }: Size, isSlipped: boolean): Box {
  const u = draws.uniform(...BOX);
  const [w, h] = [u * width, (isSlipped ? u : draws.uniform(...BOX)) * height];
  return boxAt(draws.uniform(0, width - w), draws.uniform(0, height - h), w, h);
}

export const kandinsky2Box: Maker = (draws, size) => [draftBox(draws, size, true)];

const QUARTER = 4;
const VERTICES = 4 * QUARTER;
const SMOOTHING = 4;

/** A smooth blob over a box: 16 vertices with radii from half its width to half its height and back, times 1.5. */
export function blob({ isSlipped }: { readonly isSlipped: boolean }): Maker {
  return (draws, size) => {
    const box = draftBox(draws, size, isSlipped);
    const side = Math.min(size.width, size.height);
    const center: Point = [box.left + box.width / 2, box.top + box.height / 2];
    const steps = Array.from({ length: VERTICES }, () => draws.uniform(0.85, 1.15));
    const turn = steps.reduce((sum, step) => sum + step, 0);
    let angle = draws.uniform(0, 2 * Math.PI);
    const points = steps.map((step, i): Point => {
      // From the first axis to the second and back, twice around.
      const part = Math.abs(((i / QUARTER + 1) % 2) - 1);
      const mean = 0.75 * (box.width + (box.height - box.width) * part);
      const radius = clamp(mean * (1 + 0.15 * draws.normal(0, 1)), 0.1 * side, 0.6 * side);
      angle += (2 * Math.PI * step) / turn;
      return [center[0] + radius * Math.cos(angle), center[1] + radius * Math.sin(angle)];
    });
    return [{ shape: "polygon", points: smooth(points) }];
  };
}

const JITTER = 0.15;

/** A frame: all outside of a rectangle or an ellipse with an uneven edge. */
export const frame: Maker = (draws, size) => {
  const outline = draws.chance(0.5) ? rectangle : circle;
  const [left, right, top, bottom] = outline.insets(draws);
  const count = draws.pick([16, 32]);
  const jitter = JITTER * draws.uniform(0, 1);
  const points = Array.from({ length: count }, (_, i): Point => {
    const [x, y] = outline.at(i / count);
    const reach = 1 + draws.uniform(0, jitter);
    return [
      size.width * (0.5 + x * reach * (0.5 - (x < 0 ? left : right))),
      size.height * (0.5 + y * reach * (0.5 - (y < 0 ? top : bottom))),
    ];
  });
  return [{ shape: "polygon", points: points.map(([x, y]) => point(x, y)), outside: true }];
};

type Four = readonly [left: number, right: number, top: number, bottom: number];

interface Outline {
  readonly insets: (draws: Draws) => Four;
  /** A place on the edge of the outline with half sides of 1, by the part of the way around. */
  readonly at: (part: number) => Point;
}

const rectangle: Outline = {
  insets: (draws) => [0, 0, 0, 0].map(() => draws.uniform(0.05, 0.3) / 2) as unknown as Four,
  at: (part) => {
    const angle = 2 * Math.PI * part;
    const reach = 1 / Math.max(Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle)));
    return [reach * Math.cos(angle), reach * Math.sin(angle)];
  },
};

const circle: Outline = {
  insets: (draws) => {
    const inset = draws.uniform(0.1, 0.25) / 2;
    return [inset, inset, inset, inset];
  },
  at: (part) => [Math.cos(2 * Math.PI * part), Math.sin(2 * Math.PI * part)],
};

/** A closed quadratic spline: the vertices pull it, and it touches the middles between them. */
function smooth(vertices: readonly Point[]): Point[] {
  return vertices.flatMap((vertex, i) => {
    const from = middle(vertices.at(i - 1)!, vertex);
    const to = middle(vertex, vertices[(i + 1) % vertices.length]!);
    return Array.from({ length: SMOOTHING }, (_, k) => {
      const t = k / SMOOTHING;
      const [a, b, c] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
      return point(a * from[0] + b * vertex[0] + c * to[0], a * from[1] + b * vertex[1] + c * to[1]);
    });
  });
}

function middle(a: Point, b: Point): Point {
  return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

export const kandinsky2Polygon = blob({ isSlipped: true });

export const kandinsky2Both: Maker = (...inputs): Layer[] => [
  ...kandinsky2Polygon(...inputs),
  ...frame(...inputs),
];

/** One in ten a plain rectangle; else two coins say whether there is a polygon only, a frame only, or both. */
export const kandinsky2: Maker = (draws, size, objects) => {
  const kind = draws.chance(0.1)
    ? kandinsky2Box
    : draws.pick([kandinsky2Polygon, frame, kandinsky2Both, kandinsky2Both]);
  return kind(draws, size, objects);
};
