import { product as count } from "../base/mod.ts";
import {
  add,
  conv2d,
  conv2dInputGradient,
  conv2dWeightGradient,
  matmul,
  mul,
  type Padding,
  reduceSum,
  reshape,
  type SequenceLayout,
  sequence,
  softmax,
  sub,
  transpose,
  type Value,
} from "../graph/mod.ts";
import { type Rule, sumTo } from "./rule.ts";

/** Of y = A B: by A it is gradient B', by B it is A' gradient, each transposed as its operand came. */
export const matmulRule: Rule<"matmul"> = ({ gradient, inputs: [a, b], node }) => {
  const { transposeA = false, transposeB } = node.attributes;
  // A weight under many rows: one product over all rows, instead of one each that would have to be added up.
  if (b!.shape.length === 2 && a!.shape.length > 2 && !transposeA) {
    const rows = (x: Value) => reshape(x, [count(x.shape.slice(0, -1)), x.shape.at(-1)!]);
    return [
      () => matmul(gradient, b!, { transposeB: !transposeB }),
      () =>
        transposeB
          ? matmul(rows(gradient), rows(a!), { transposeA: true })
          : matmul(rows(a!), rows(gradient), { transposeA: true }),
    ];
  }
  return [
    () =>
      sumTo(
        transposeA
          ? matmul(b!, gradient, { transposeA: transposeB, transposeB: true })
          : matmul(gradient, b!, { transposeB: !transposeB }),
        a!.shape,
      ),
    () =>
      sumTo(
        transposeB
          ? matmul(gradient, a!, { transposeA: true, transposeB: transposeA })
          : matmul(a!, gradient, { transposeA: !transposeA }),
        b!.shape,
      ),
  ];
};

export const conv2dRule: Rule<"conv2d"> = ({ gradient, inputs: [x, weight, bias], node }) => {
  const [, , height, width] = x!.shape as [number, number, number, number];
  const [, , kh, kw] = weight!.shape as [number, number, number, number];
  return [
    () => conv2dInputGradient(gradient, weight!, { ...node.attributes, height, width }),
    () => conv2dWeightGradient(x!, gradient, { ...node.attributes, kernel: [kh, kw] }),
    bias && (() => sumOverMaps(gradient)),
  ];
};

/** What a transposed convolution spreads, a convolution of the same weight and stride collects. */
export const convTranspose2dRule: Rule<"convTranspose2d"> = ({ gradient, inputs: [x, weight, bias] }) => {
  const [, , kernel] = weight!.shape as [number, number, number];
  const attributes: { stride: number; padding: Padding } = { stride: kernel, padding: [0, 0, 0, 0] };
  return [
    () => conv2d(gradient, weight!, undefined, attributes),
    () => conv2dWeightGradient(gradient, x!, { ...attributes, kernel: [kernel, kernel] }),
    bias && (() => sumOverMaps(gradient)),
  ];
};

/** The derivatives of a convolution are linear in each of their operands, as the convolution is. */
export const conv2dInputGradientRule: Rule<"conv2dInputGradient"> = ({
  gradient,
  inputs: [g, weight],
  node,
}) => {
  const { stride, padding } = node.attributes;
  const [, , kh, kw] = weight!.shape as [number, number, number, number];
  return [
    () => conv2d(gradient, weight!, undefined, { stride, padding }),
    () => conv2dWeightGradient(gradient, g!, { stride, padding, kernel: [kh, kw] }),
  ];
};

export const conv2dWeightGradientRule: Rule<"conv2dWeightGradient"> = ({
  gradient,
  inputs: [x, g],
  node,
}) => {
  const { stride, padding } = node.attributes;
  const [, , height, width] = x!.shape as [number, number, number, number];
  return [
    () => conv2dInputGradient(g!, gradient, { stride, padding, height, width }),
    () => conv2d(x!, gradient, undefined, { stride, padding }),
  ];
};

/** [B,C,H,W] to [C]. */
function sumOverMaps(x: Value): Value {
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  return reduceSum(reduceSum(reshape(x, [batch, channels, height * width]), 2), 0);
}

export const softmaxRule: Rule<"softmax"> = ({ gradient, result }) => [
  () => throughSoftmax(gradient, result),
];

export const logSoftmaxRule: Rule<"logSoftmax"> = ({ gradient, inputs: [x] }) => [
  () => sub(gradient, mul(softmax(x!), lastSum(gradient))),
];

function throughSoftmax(gradient: Value, weights: Value): Value {
  return mul(weights, sub(gradient, lastSum(mul(gradient, weights))));
}

/** The sum over the last axis, which stays as an axis of 1. */
function lastSum(x: Value): Value {
  const last = x.shape.length - 1;
  return reshape(reduceSum(x, last), x.shape.with(last, 1));
}

/**
 * The weights of the keys are computed again from queries and keys: they are the largest values of the model, and
 * keeping them would cost more than the product. Sequences of channels are read transposed, not copied.
 */
export const attentionRule: Rule<"attention"> = ({ gradient, inputs: [q, k, v, bias], node }) => {
  const { heads, scale, queries, keys } = node.attributes;
  // Scaled queries make scaled scores, and scaled gradients of the keys: one pass instead of two longer ones.
  const [query, key, value] = [
    split(mul(q!, scale), heads, queries),
    split(k!, heads, keys),
    split(v!, heads, keys),
  ];
  const mixed = split(gradient, heads, queries);
  const scores = product(query, key, false, true);
  const weights = softmax(bias ? add(scores, bias) : scores);
  const byScores = () => throughSoftmax(product(mixed, value, false, true), weights);
  const asHeads = (x: Value) => ({ value: x, isTransposed: false });
  return [
    () => join(mul(productAs(queries, asHeads(byScores()), key, false, false), scale), q!, queries),
    () => join(productAs(keys, asHeads(byScores()), query, true, false), k!, keys),
    () => join(productAs(keys, asHeads(weights), mixed, true, false), v!, keys),
    bias && (() => sumTo(byScores(), bias.shape)),
  ];
};

/** Matrices [batch, heads, length, depth], or the transpositions of those. */
interface Heads {
  readonly value: Value;
  readonly isTransposed: boolean;
}

function split(x: Value, heads: number, layout: SequenceLayout): Heads {
  const { batch, length, channels } = sequence(x, layout);
  const depth = channels / heads;
  return layout === "channels"
    ? { value: reshape(x, [batch, heads, depth, length]), isTransposed: true }
    : { value: transpose(reshape(x, [batch, length, heads, depth]), [0, 2, 1, 3]), isTransposed: false };
}

/** The product of two matrices, each transposed or not. */
function product(a: Heads, b: Heads, transposesA: boolean, transposesB: boolean): Value {
  return matmul(a.value, b.value, {
    transposeA: a.isTransposed !== transposesA,
    transposeB: b.isTransposed !== transposesB,
  });
}

/** The product, transposed where the layout has channels first: (A B)' = B' A'. */
function productAs(
  layout: SequenceLayout,
  a: Heads,
  b: Heads,
  transposesA: boolean,
  transposesB: boolean,
): Value {
  return layout === "tokens"
    ? product(a, b, transposesA, transposesB)
    : product(b, a, !transposesB, !transposesA);
}

/** Heads as `productAs` gives them back to the form of a sequence. */
function join(x: Value, like: Value, layout: SequenceLayout): Value {
  return reshape(layout === "tokens" ? transpose(x, [0, 2, 1, 3]) : x, like.shape);
}
