import { clamp } from "../base/mod.ts";
import type { Box, Ellipse, Point, Polygon, Size, Stroke } from "./spec.ts";

/** Sets pixels whose centre lies in a shape; the part of a shape that is outside of the picture is left out. */
type Fill<S> = (data: Uint8Array, size: Size, shape: S) => void;

export const FILL: {
  readonly box: Fill<Box>;
  readonly ellipse: Fill<Ellipse>;
  readonly polygon: Fill<Polygon>;
  readonly stroke: Fill<Stroke>;
} = {
  box(data, size, { left, top, width, height, radius = 0 }) {
    const round = Math.min(radius, width / 2, height / 2);
    eachRow(size, top, top + height, (y, row) => {
      // How far the row's centre is into the band of a rounded corner.
      const into = Math.max(top + round - y, y - (top + height - round), 0);
      const inset = round - Math.sqrt(Math.max(round * round - into * into, 0));
      span(data, size, row, left + inset, left + width - inset);
    });
  },
  ellipse(data, size, { center: [cx, cy], radii: [rx, ry] }) {
    eachRow(size, cy - ry, cy + ry, (y, row) => {
      const half = rx * Math.sqrt(Math.max(1 - ((y - cy) / ry) ** 2, 0));
      span(data, size, row, cx - half, cx + half);
    });
  },
  polygon(data, size, { points }) {
    const ys = points.map(([, y]) => y);
    eachRow(size, Math.min(...ys), Math.max(...ys), (y, row) => {
      const crossings = crossingsOf(points, y).sort((a, b) => a.x - b.x);
      let winding = 0;
      for (const [i, { x, turn }] of crossings.entries()) {
        if (winding !== 0) span(data, size, row, crossings[i - 1]!.x, x);
        winding += turn;
      }
    });
  },
  stroke(data, size, { points, width }) {
    const first = points[0];
    if (first !== undefined && points.length === 1) capsule(data, size, first, first, width / 2);
    for (let i = 1; i < points.length; i++) capsule(data, size, points[i - 1]!, points[i]!, width / 2);
  },
};

/** Rows whose centre is between the two heights. */
function eachRow({ height }: Size, from: number, to: number, fill: (y: number, row: number) => void): void {
  const last = Math.min(Math.ceil(to - 0.5), height);
  for (let row = Math.max(Math.ceil(from - 0.5), 0); row < last; row++) fill(row + 0.5, row);
}

/** Pixels of a row whose centre is between two places. */
function span(data: Uint8Array, { width }: Size, row: number, from: number, to: number): void {
  const start = clamp(Math.ceil(from - 0.5), 0, width);
  data.fill(1, row * width + start, row * width + clamp(Math.ceil(to - 0.5), start, width));
}

/** Where the outline meets a height, and whether it goes down (1) or up (-1) there. */
function crossingsOf(points: readonly Point[], y: number): { x: number; turn: 1 | -1 }[] {
  return points.flatMap(([x0, y0], i) => {
    const [x1, y1] = points[(i + 1) % points.length]!;
    if (y0 <= y === y1 <= y) return [];
    return [{ x: x0 + ((y - y0) / (y1 - y0)) * (x1 - x0), turn: y0 <= y ? 1 : -1 } as const];
  });
}

/**
 * All within `radius` of the line from a to b. A row's part of it is one span, since it is convex: it ends where the
 * row leaves a round end, or, between the feet of the radii that stand upright on the line, a straight edge.
 */
function capsule(data: Uint8Array, size: Size, a: Point, b: Point, radius: number): void {
  const [upper, lower] = a[1] <= b[1] ? [a, b] : [b, a];
  const [dx, dy] = [lower[0] - upper[0], lower[1] - upper[1]];
  const length = Math.hypot(dx, dy);
  const [nx, ny] = length === 0 ? [0, 0] : [(radius * dy) / length, (-radius * dx) / length];
  eachRow(size, upper[1] - radius, lower[1] + radius, (y, row) => {
    let [left, right] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [cx, cy] of [upper, lower]) {
      const square = radius * radius - (y - cy) * (y - cy);
      if (square < 0) continue;
      left = Math.min(left, cx - Math.sqrt(square));
      right = Math.max(right, cx + Math.sqrt(square));
    }
    for (const side of [-1, 1]) {
      const [startX, startY] = [upper[0] + side * nx, upper[1] + side * ny];
      if (dy === 0 || y < startY || y > startY + dy) continue;
      const x = startX + ((y - startY) / dy) * dx;
      left = Math.min(left, x);
      right = Math.max(right, x);
    }
    span(data, size, row, left, right);
  });
}
