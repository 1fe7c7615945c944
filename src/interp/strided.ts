import { product } from "../base/mod.ts";

/** One axis of a walk over two arrays at once. */
interface Axis {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** Side of the squares in which an out-of-order copy runs, so that both sides stay in the cache. */
const TILE = 32;

/**
 * Row-major copy of a view: element [i, j, ...] is `source[start + i * strides[0] + j * strides[1] + ...]`.
 * Transposes, slices, broadcasts (stride 0) and repeats are all views.
 */
export function copyView(
  source: Float64Array,
  start: number,
  shape: readonly number[],
  strides: readonly number[],
): Float64Array {
  const target = new Float64Array(product(shape));
  if (target.length === 0) return target;
  const axes = mergeAxes(shape, strides);
  const last = axes.pop() ?? { size: 1, from: 0, to: 1 };
  const [across] = axes.splice(nearestAxis(axes), 1);
  const row = across ?? { size: 1, from: 0, to: 0 };
  const copyBlock = last.from === 1 ? copyRows : copyTiles;
  const walk = (depth: number, from: number, to: number): void => {
    const axis = axes[depth];
    if (axis === undefined) copyBlock(source, from, target, to, row, last);
    else for (let i = 0; i < axis.size; i++) walk(depth + 1, from + i * axis.from, to + i * axis.to);
  };
  walk(0, start, 0);
  return target;
}

/** Drops axes of one element and joins neighbours that both sides step through as one. */
function mergeAxes(shape: readonly number[], strides: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  let to = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const size = shape[i]!;
    const from = strides[i]!;
    const inner = axes[0];
    if (size === 1) continue;
    if (inner !== undefined && from === inner.from * inner.size) {
      axes[0] = { ...inner, size: size * inner.size };
    } else {
      axes.unshift({ size, from, to });
    }
    to *= size;
  }
  return axes;
}

/** The axis with the smallest step in the source: together with the last one it makes the square. */
function nearestAxis(axes: readonly Axis[]): number {
  let best = 0;
  axes.forEach((axis, i) => {
    if (axis.from > 0 && axis.from < (axes[best]!.from || Number.POSITIVE_INFINITY)) best = i;
  });
  return best;
}

function copyRows(
  source: Float64Array,
  from: number,
  target: Float64Array,
  to: number,
  row: Axis,
  last: Axis,
) {
  for (let i = 0; i < row.size; i++) {
    const start = from + i * row.from;
    const at = to + i * row.to;
    if (last.size >= 32) target.set(source.subarray(start, start + last.size), at);
    else for (let j = 0; j < last.size; j++) target[at + j] = source[start + j]!;
  }
}

function copyTiles(
  source: Float64Array,
  from: number,
  target: Float64Array,
  to: number,
  row: Axis,
  last: Axis,
) {
  for (let i0 = 0; i0 < row.size; i0 += TILE) {
    const i1 = Math.min(i0 + TILE, row.size);
    for (let j0 = 0; j0 < last.size; j0 += TILE) {
      const j1 = Math.min(j0 + TILE, last.size);
      for (let i = i0; i < i1; i++) {
        const start = from + i * row.from;
        const at = to + i * row.to;
        for (let j = j0; j < j1; j++) target[at + j] = source[start + j * last.from]!;
      }
    }
  }
}

/** Strides that read a row-major array of `shape` as if it had `target`'s shape, by NumPy's broadcasting. */
export function broadcastStrides(shape: readonly number[], target: readonly number[]): number[] {
  const strides = new Array<number>(target.length).fill(0);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1) strides[i + target.length - shape.length] = step;
    step *= shape[i]!;
  }
  return strides;
}
