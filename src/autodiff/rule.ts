import { product } from "../base/mod.ts";
import { type Node, type OpName, reduceSum, reshape, type Value } from "../graph/mod.ts";

/** What a rule sees of one operation, and the derivative of the loss by its result. */
export interface Place<K extends OpName> {
  readonly node: Node<K>;
  readonly inputs: readonly Value[];
  readonly result: Value;
  readonly gradient: Value;
}

/**
 * The derivative of the loss by each input, of the input's shape: a function each, called only for those that
 * are asked for; undefined where no derivative passes.
 */
export type Rule<K extends OpName> = (place: Place<K>) => readonly ((() => Value) | undefined)[];

/** The sum of a gradient over the axes along which a value of `shape` was repeated. */
export function sumTo(gradient: Value, shape: readonly number[]): Value {
  const missing = gradient.shape.length - shape.length;
  const kept = gradient.shape.map((n, axis) => (axis >= missing && shape[axis - missing] === n ? n : 1));
  return reshape(sumAway(gradient, kept), shape);
}

/** Neighbouring axes that go are summed as one; `kept` has 1 in their places. */
function sumAway(x: Value, kept: readonly number[]): Value {
  const runs: { goes: boolean; size: number }[] = [];
  kept.forEach((n, axis) => {
    const goes = n !== x.shape[axis];
    const last = runs.at(-1);
    const size = x.shape[axis]!;
    // An axis of 1 joins either neighbour.
    if (last !== undefined && (last.goes === goes || size === 1)) last.size *= size;
    else runs.push({ goes, size });
  });
  let sum = reshape(
    x,
    runs.map(({ size }) => size),
  );
  for (let i = runs.length - 1; i >= 0; i--) if (runs[i]!.goes) sum = reduceSum(sum, i);
  return sum;
}

/** A value summed over the axes from `first` to the end: [a, b, c, d] from 2 gives [a, b]. */
export function sumFrom(x: Value, first: number): Value {
  const lead = x.shape.slice(0, first);
  return reduceSum(reshape(x, [...lead, product(x.shape.slice(first))]), first);
}
