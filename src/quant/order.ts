import { KandinskyError, product } from "../base/mod.ts";
import { type Tensor, tensor, transposed } from "../tensor/mod.ts";
import type { Grid } from "./quantize.ts";

/**
 * How a weight's axes become rows that are summed over. `rows`: as it lies, [O,...] with all else along the row.
 * `taps`: a convolution [O,C,kh,kw] with each row as [C/16, kh, kw, 16], the order of blocked convolutions, whose
 * kernels so find whole blocks. `transposed`: a transposed convolution [C,O,s,s] with rows [s,s,O] along C.
 */
export type RowOrder = "rows" | "taps" | "transposed";

/** Channels that lie together in the order `taps`. */
const CHANNELS = 16;

interface OrderRule {
  readonly rank: (rank: number) => boolean;
  /** The shape with axes split, and where each axis of the ordered weight comes from. */
  readonly split: (shape: readonly number[]) => readonly number[];
  readonly axes: (rank: number) => readonly number[];
  readonly rows: (shape: readonly number[]) => number;
}

const ORDERS: Readonly<Record<RowOrder, OrderRule>> = {
  rows: {
    rank: (rank) => rank >= 2,
    split: (shape) => shape,
    axes: (rank) => Array.from({ length: rank }, (_, axis) => axis),
    rows: ([out]) => out!,
  },
  taps: {
    rank: (rank) => rank === 4,
    split: ([out, inner, kh, kw]) => [out!, inner! / CHANNELS, CHANNELS, kh!, kw!],
    axes: () => [0, 1, 3, 4, 2],
    rows: ([out]) => out!,
  },
  transposed: {
    rank: (rank) => rank === 4,
    split: (shape) => shape,
    axes: () => [2, 3, 1, 0],
    rows: ([, out, kh, kw]) => out! * kh! * kw!,
  },
};

export const ROW_ORDERS = Object.keys(ORDERS) as readonly RowOrder[];

/** Whether a weight of this shape has such rows. */
export function hasOrder(order: RowOrder, shape: readonly number[]): boolean {
  return ORDERS[order].rank(shape.length) && (order !== "taps" || shape[1]! % CHANNELS === 0);
}

/** The rows of a weight in an order that its shape has. */
export function gridOf(order: RowOrder, shape: readonly number[]): Grid {
  const groups = ORDERS[order].rows(shape);
  return { groups, length: product(shape) / groups, lanes: 1 };
}

/** A weight's values row by row; those that lie so already are not copied. */
export function toRows(order: RowOrder, weight: Tensor<"float32">): Float32Array {
  if (order === "rows") return weight.data;
  const { split, axes } = ORDERS[order];
  const apart = split(weight.shape);
  return transposed(tensor("float32", apart, weight.data), axes(apart.length)).data;
}

/** The weight of the given shape whose rows these are. */
export function fromRows(
  order: RowOrder,
  shape: readonly number[],
  rows: Float32Array<ArrayBuffer>,
): Tensor<"float32"> {
  if (rows.length !== product(shape)) {
    const seen = `${rows.length} values`;
    throw new KandinskyError("tensor_shape", {
      what: "cannot put rows together",
      seen,
      wanted: `[${shape}]`,
    });
  }
  const { split, axes } = ORDERS[order];
  const apart = split(shape);
  const order_ = axes(apart.length);
  const back = order_.map((_, axis) => order_.indexOf(axis));
  const ordered = tensor(
    "float32",
    order_.map((axis) => apart[axis]!),
    rows,
  );
  return tensor("float32", shape, transposed(ordered, back).data);
}
