import {
  expand,
  gather,
  type Node,
  place as putInto,
  reduceSum,
  reshape,
  scatterAdd,
  slice,
  transpose,
  type Value,
} from "../graph/mod.ts";
import { type Rule, sumTo } from "./rule.ts";

function unary<K extends Node["op"]>(
  by: (gradient: Value, x: Value, attributes: Node<K>["attributes"]) => Value,
): Rule<K> {
  return ({ gradient, inputs: [x], node }) => [() => by(gradient, x!, node.attributes)];
}

/** The table's rows get the gradients of where they went; indices have no derivative. */
export const gatherRule: Rule<"gather"> = ({ gradient, inputs: [table, indices] }) => [
  () => scatterAdd(gradient, indices!, table!.shape[0]!),
  undefined,
];

export const scatterAddRule: Rule<"scatterAdd"> = ({ gradient, inputs: [, indices] }) => [
  () => gather(gradient, indices!),
  undefined,
];

export const reduceSumRule = unary<"reduceSum">((gradient, { shape }, { axis }) =>
  expand(reshape(gradient, shape.with(axis, 1)), shape),
);
export const expandRule = unary<"expand">((gradient, { shape }) => sumTo(gradient, shape));
export const reshapeRule = unary<"reshape">((gradient, { shape }) => reshape(gradient, shape));
export const transposeRule = unary<"transpose">((gradient, _, { order }) =>
  transpose(
    gradient,
    order.map((_, axis) => order.indexOf(axis)),
  ),
);
export const sliceRule = unary<"slice">((gradient, { shape }, { axis, start, step }) =>
  putInto(gradient, { axis, start, step, size: shape[axis]! }),
);
export const placeRule = unary<"place">((gradient, { shape }, { axis, start, step }) =>
  slice(gradient, axis, start, start + (shape[axis]! - 1) * step + 1, step),
);

export const concatRule: Rule<"concat"> = ({ gradient, inputs, node }) => {
  const { axis } = node.attributes;
  let end = 0;
  return inputs.map(({ shape }) => {
    const start = end;
    end += shape[axis]!;
    const stop = end;
    return () => slice(gradient, axis, start, stop);
  });
};

/** The cells that a cell became give their gradients back. */
export const resizeNearestRule = unary<"resizeNearest">((gradient, { shape }, { factor }) => {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const cells = reshape(gradient, [batch * channels * height, factor, width, factor]);
  return reshape(reduceSum(reduceSum(cells, 3), 1), shape);
});
