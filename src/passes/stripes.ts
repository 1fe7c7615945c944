import { product } from "../base/mod.ts";
import {
  add,
  concat,
  conv2d,
  type Graph,
  groupMoments,
  groupNorm,
  mul,
  type Node,
  resizeNearest,
  rewrite,
  slice,
  sub,
  type Value,
} from "../graph/mod.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * Keeps maps of more than `maxBytes` as stripes of rows, so that what lies between two convolutions is in
 * memory one stripe at a time. Exact: a convolution's stripe is computed from all rows it sees, halo included,
 * and norms take the moments of the whole map. Every map is cut where rows of the graph's smallest map end,
 * of which there are `unitRows`, since scales and shifts of norms are maps of that size.
 */
export function stripeMaps(maxBytes: number, unitRows: number): Pass {
  return {
    name: "stripe-maps",
    run: (graph) => removeDeadNodes(new Stripes(graph, maxBytes, unitRows).run()),
  };
}

/** Rows [from, to) of a map. */
interface Stripe {
  readonly from: number;
  readonly to: number;
  readonly value: Value;
}

type Rows = Pick<Stripe, "from" | "to">;

class Stripes {
  readonly #graph: Graph;
  readonly #maxBytes: number;
  readonly #unitRows: number;
  /** The stripes that a value of the new graph was joined from; unused, the joined value is dropped. */
  readonly #stripes = new Map<number, readonly Stripe[]>();

  constructor(graph: Graph, maxBytes: number, unitRows: number) {
    this.#graph = graph;
    this.#maxBytes = maxBytes;
    this.#unitRows = unitRows;
  }

  run(): Graph {
    return rewrite(this.#graph, (node, inputs, { copyOf }) => {
      if (node.op === "conv2d") return this.#convolution(node, inputs, copyOf);
      if (node.op === "groupNorm") return this.#norm(node, inputs);
      if (node.op === "silu" || node.op === "add") return this.#elementwise(node, inputs);
      return undefined;
    });
  }

  #convolution(
    node: Node<"conv2d">,
    [x, weight, bias]: readonly Value[],
    copyOf: (id: number) => Value,
  ): Value | undefined {
    const { stride, padding } = node.attributes;
    const resize = this.#graph.nodes[node.inputs[0]!]!;
    const keepsSize = weight!.shape.slice(2).join() === "3,3" && padding.every((side) => side === 1);
    const doubles = resize.op === "resizeNearest" && resize.attributes.factor === 2 && keepsSize;
    const source = doubles ? copyOf(resize.inputs[0]!) : x!;
    const isStriped = this.#isLarge(node.shape) || this.#stripes.has(source.id);
    if (stride !== 1 || !isStriped || node.shape[2]! % this.#unitRows !== 0) return undefined;
    return this.#join(node.shape, (rows) =>
      doubles
        ? this.#doubledRows(source, weight!, bias, rows)
        : this.#convolvedRows(node, source, weight!, bias, rows),
    );
  }

  #convolvedRows(
    { attributes }: Node<"conv2d">,
    x: Value,
    weight: Value,
    bias: Value | undefined,
    { from, to }: Rows,
  ): Value {
    const [top, left, , right] = attributes.padding;
    const end = to - top + weight.shape[2]! - 1;
    const first = Math.max(0, from - top);
    const last = Math.min(x.shape[2]!, end);
    return conv2d(this.#rows(x, { from: first, to: last }), weight, bias, {
      padding: [first - (from - top), left, end - last, right],
    });
  }

  /** Rows of a 3x3 convolution of a doubled map: one row more of the small map to each side, then cut off. */
  #doubledRows(x: Value, weight: Value, bias: Value | undefined, { from, to }: Rows): Value {
    const first = Math.max(0, from / 2 - 1);
    const last = Math.min(x.shape[2]!, to / 2 + 1);
    const doubled = resizeNearest(this.#rows(x, { from: first, to: last }), 2);
    const wide = conv2d(doubled, weight, bias, { padding: [1, 1, 1, 1] });
    return slice(wide, 2, from - 2 * first, to - 2 * first);
  }

  #norm(node: Node<"groupNorm">, [x, scale, shift]: readonly Value[]): Value | undefined {
    const stripes = this.#stripes.get(x!.id);
    if (stripes === undefined) return undefined;
    const moments = jointMoments(stripes, node.attributes.groups);
    return this.#join(node.shape, (rows) => {
      const [a, b] = [scale!, shift!].map((map) => cellsOf(map, rows, node.shape[2]!)) as [Value, Value];
      return groupNorm(this.#rows(x!, rows), a, b, node.attributes, moments);
    });
  }

  #elementwise(node: Node<"silu" | "add">, inputs: readonly Value[]): Value | undefined {
    const sameShape = inputs.every((x) => x.shape.join() === node.shape.join());
    if (!sameShape || !inputs.some((x) => this.#stripes.has(x.id))) return undefined;
    return this.#join(node.shape, (rows) => {
      const operands = inputs.map((x) => this.#rows(x, rows));
      return operands[0]!.builder.apply(node.op, operands, {});
    });
  }

  #isLarge(shape: readonly number[]): boolean {
    return product(shape) * FLOAT_BYTES > this.#maxBytes;
  }

  /** Makes a map stripe by stripe. */
  #join(shape: readonly number[], make: (rows: Rows) => Value): Value {
    const height = shape[2]!;
    const count = Math.min(this.#unitRows, Math.ceil((product(shape) * FLOAT_BYTES) / this.#maxBytes));
    const unit = height / this.#unitRows;
    const stripes = Array.from({ length: count }, (_, i) => {
      const from = Math.floor((i * this.#unitRows) / count) * unit;
      const to = Math.floor(((i + 1) * this.#unitRows) / count) * unit;
      return { from, to, value: make({ from, to }) };
    });
    const joined = concat(
      stripes.map(({ value }) => value),
      2,
    );
    this.#stripes.set(joined.id, stripes);
    return joined;
  }

  /** Rows of a map, put together from its stripes where it has some. */
  #rows(x: Value, { from, to }: Rows): Value {
    const stripes = this.#stripes.get(x.id);
    if (stripes === undefined) return slice(x, 2, from, to);
    const parts = stripes
      .filter((stripe) => stripe.from < to && stripe.to > from)
      .map((stripe) => {
        const first = Math.max(from, stripe.from) - stripe.from;
        return slice(stripe.value, 2, first, Math.min(to, stripe.to) - stripe.from);
      });
    return concat(parts, 2);
  }
}

const FLOAT_BYTES = 4;

/** The cells of a norm's scale or shift that rows of a map of `height` rows fall on. */
function cellsOf(map: Value, { from, to }: Rows, height: number): Value {
  const cells = map.shape[2]!;
  return cells === 1 ? map : slice(map, 2, (from * cells) / height, (to * cells) / height);
}

/** Moments of the whole from those of its parts: the variance is that within and that of the means. */
function jointMoments(stripes: readonly Stripe[], groups: number): Value {
  const height = stripes.at(-1)!.to;
  const parts = stripes.map(({ from, to, value }) => {
    const both = groupMoments(value, groups);
    return { share: (to - from) / height, mean: slice(both, 2, 0, 1), variance: slice(both, 2, 1, 2) };
  });
  const mean = sumOf(parts.map((part) => mul(part.mean, part.share)));
  const variance = sumOf(
    parts.map((part) => {
      const apart = sub(part.mean, mean);
      return mul(add(part.variance, mul(apart, apart)), part.share);
    }),
  );
  return concat([mean, variance], 2);
}

function sumOf(values: readonly Value[]): Value {
  return values.reduce((sum, value) => add(sum, value));
}
