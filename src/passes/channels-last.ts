import { product } from "../base/mod.ts";
import {
  abs,
  add,
  attention,
  concat,
  conv2d,
  div,
  expand,
  type Graph,
  matmul,
  mul,
  type Node,
  reduceSum,
  reshape,
  rewrite,
  sqrt,
  sub,
  transpose,
  type Value,
} from "../graph/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * Keeps maps as rows of channels, [B,H,W,C], for a graph that is to be differentiated: 1x1 and non-overlapping
 * convolutions become products of all rows, whose derivatives are products again; norms become sums and one
 * multiply-add; attention reads tokens. Overlapping convolutions stay, between transpositions that
 * `convolutionProducts` takes away after differentiation.
 */
export const channelsLast: Pass = {
  name: "channels-last",
  run: (graph) => removeDeadNodes(new Rows().run(graph)),
};

type Rule = (node: Node, inputs: readonly Value[]) => Value | undefined;

class Rows {
  /** Rows [B,H,W,C] of a plain map, and tokens [B,N,C] of a plain sequence [B,C,N]. */
  readonly #rows = new Map<number, Value>();
  readonly #tokens = new Map<number, Value>();

  run(graph: Graph): Graph {
    return rewrite(graph, (node, inputs) => this.#rules[node.op]?.(node, inputs));
  }

  readonly #rules: { readonly [K in Node["op"]]?: Rule } = {
    conv2d: (node, [x, weight, bias]) => this.#convolution(node as Node<"conv2d">, x!, weight!, bias),
    convTranspose2d: (_, [x, weight, bias]) => this.#doubling(x!, weight!, bias),
    groupNorm: (node, inputs) => this.#norm(node as Node<"groupNorm">, inputs),
    attention: (node, inputs) => this.#attention(node as Node<"attention">, inputs),
    reshape: (node, [x]) => this.#reshape(node, x!),
    concat: (node, inputs) => {
      const { axis } = (node as Node<"concat">).attributes;
      if (axis !== 1 || node.shape.length !== 4 || !inputs.some((x) => this.#rows.has(x.id)))
        return undefined;
      return this.#plainOf(
        concat(
          inputs.map((x) => this.#rowsOf(x)),
          3,
        ),
      );
    },
    resizeNearest: (node, [x]) => {
      const { factor } = (node as Node<"resizeNearest">).attributes;
      const [batch, channels, height, width] = x!.shape as [number, number, number, number];
      const cells = reshape(this.#rowsOf(x!), [batch * height, 1, width, 1, channels]);
      const spread = expand(cells, [batch * height, factor, width, factor, channels]);
      return this.#plainOf(reshape(spread, [batch, factor * height, factor * width, channels]));
    },
    ...Object.fromEntries(
      (["add", "sub", "mul", "div", "maximum", "silu", "sigmoid", "abs", "sqrt", "detach"] as const).map(
        (op) => [op, (node: Node, inputs: readonly Value[]) => this.#elementwise(node, inputs)],
      ),
    ),
  };

  #rowsOf(plain: Value): Value {
    const known = this.#rows.get(plain.id);
    if (known !== undefined) return known;
    const rows = toRows(plain);
    this.#rows.set(plain.id, rows);
    return rows;
  }

  /** The plain form, which later users that cannot do with rows read; unread it is dropped in the end. */
  #plainOf(rows: Value): Value {
    const plain = toPlain(rows);
    this.#rows.set(plain.id, rows);
    return plain;
  }

  #tokensOf(sequence: Value): Value {
    return this.#tokens.get(sequence.id) ?? transpose(sequence, [0, 2, 1]);
  }

  #sequenceOf(tokens: Value): Value {
    const plain = transpose(tokens, [0, 2, 1]);
    this.#tokens.set(plain.id, tokens);
    return plain;
  }

  #convolution(node: Node<"conv2d">, x: Value, weight: Value, bias: Value | undefined): Value {
    const { stride, padding } = node.attributes;
    const [, , kh, kw] = weight.shape as [number, number, number, number];
    const [batch, out, h, w] = node.shape as [number, number, number, number];
    const withBias = (y: Value) => this.#plainOf(bias === undefined ? y : add(y, bias));
    const isTiling =
      stride === kh &&
      stride === kw &&
      padding.every((side) => side === 0) &&
      x.shape[2] === h * kh &&
      x.shape[3] === w * kw;
    if (!isTiling) return withBias(this.#rowsOf(conv2d(x, weight, undefined, { stride, padding })));
    const channels = x.shape[1]!;
    if (kh * kw === 1) {
      return withBias(matmul(this.#rowsOf(x), reshape(weight, [out, channels]), { transposeB: true }));
    }
    const tiles = transpose(reshape(this.#rowsOf(x), [batch * h, kh, w, kw, channels]), [0, 2, 1, 3, 4]);
    const rows = reshape(tiles, [batch * h * w, kh * kw * channels]);
    const kernel = reshape(transpose(weight, [0, 2, 3, 1]), [out, kh * kw * channels]);
    return withBias(reshape(matmul(rows, kernel, { transposeB: true }), [batch, h, w, out]));
  }

  /** Each cell becomes a square of its own: one product, laid out side by side. */
  #doubling(x: Value, weight: Value, bias: Value | undefined): Value {
    const [batch, channels, height, width] = x.shape as [number, number, number, number];
    const [, out, size] = weight.shape as [number, number, number];
    const rows = reshape(this.#rowsOf(x), [batch * height * width, channels]);
    const kernel = reshape(transpose(weight, [0, 2, 3, 1]), [channels, size * size * out]);
    const squares = reshape(matmul(rows, kernel), [batch * height, width, size, size, out]);
    const map = reshape(transpose(squares, [0, 2, 1, 3, 4]), [batch, size * height, size * width, out]);
    return this.#plainOf(bias === undefined ? map : add(map, bias));
  }

  /**
   * The sums of values and squares over each map give moments; with them the norm is a factor and an offset a
   * channel. A product with a matrix of shares averages over the groups and spreads the result to their channels.
   */
  #norm(node: Node<"groupNorm">, [x, scale, shift, moments]: readonly Value[]): Value | undefined {
    if (moments !== undefined) return undefined;
    const { groups, epsilon } = node.attributes;
    const [batch, channels, height, width] = node.shape as [number, number, number, number];
    const rows = this.#rowsOf(x!);
    const tokens = reshape(rows, [batch, height * width, channels]);
    const shares = x!.builder.constant(groupShares(channels, groups, height * width));
    const average = (values: Value) => matmul(reduceSum(values, 1), shares);
    const mean = average(tokens);
    // Rounding may leave a little less than nothing of equal values.
    const variance = abs(sub(average(mul(tokens, tokens)), mul(mean, mean)));
    const deviation = sqrt(add(variance, epsilon));
    const perMap = (value: Value) => reshape(value, [value.shape[0]!, 1, 1, channels]);
    const [lines, , h, w] = scale!.shape as [number, number, number, number];
    if (h * w > 1) {
      const normal = div(sub(rows, perMap(mean)), perMap(deviation));
      // Every cell of scale and shift meets a square of the map, without being written that often.
      const cells = (operand: Value) => reshape(this.#rowsOf(operand), [lines, h, 1, w, 1, channels]);
      const squares = reshape(normal, [batch, h, height / h, w, width / w, channels]);
      const scaled = add(mul(squares, cells(scale!)), cells(shift!));
      return this.#plainOf(reshape(scaled, [batch, height, width, channels]));
    }
    const factor = div(reshape(scale!, [lines, channels]), deviation);
    const offset = sub(reshape(shift!, [lines, channels]), mul(mean, factor));
    return this.#plainOf(add(mul(rows, perMap(factor)), perMap(offset)));
  }

  #attention(node: Node<"attention">, [q, k, v, bias]: readonly Value[]): Value | undefined {
    const { queries, keys } = node.attributes;
    if (queries === "tokens" && keys === "tokens") return undefined;
    const as = (x: Value, layout: typeof keys) => (layout === "tokens" ? x : this.#tokensOf(x));
    const attributes = { ...node.attributes, queries: "tokens", keys: "tokens" } as const;
    const mixed = attention(as(q!, queries), as(k!, keys), as(v!, keys), bias, attributes);
    return queries === "tokens" ? mixed : this.#sequenceOf(mixed);
  }

  /** Between a map [B,C,H,W] and a sequence [B,C,N]. */
  #reshape(node: Node, x: Value): Value | undefined {
    const [batch, channels] = x.shape as [number, number];
    const rest = product(x.shape.slice(2));
    if (node.shape[0] !== batch || node.shape[1] !== channels) return undefined;
    const rows = this.#rows.get(x.id);
    if (rows !== undefined && node.shape.length === 3)
      return this.#sequenceOf(reshape(rows, [batch, rest, channels]));
    const tokens = this.#tokens.get(x.id);
    if (tokens === undefined || node.shape.length !== 4) return undefined;
    return this.#plainOf(reshape(tokens, [batch, ...node.shape.slice(2), channels]));
  }

  /** On rows where an operand has them and the others are maps, numbers a channel, or one number. */
  #elementwise(node: Node, inputs: readonly Value[]): Value | undefined {
    if (node.shape.length !== 4 || !inputs.some((x) => this.#rows.has(x.id))) return undefined;
    if (inputs.some((x) => x.shape.length !== 4 && x.shape.length !== 0)) return undefined;
    const operands = inputs.map((x) => (x.shape.length === 0 ? x : this.#rowsOf(x)));
    return this.#plainOf(operands[0]!.builder.apply(node.op, operands, node.attributes as never));
  }
}

/** [C,C]: what each channel's sum adds to the mean of a channel's group. */
function groupShares(channels: number, groups: number, cells: number): Tensor<"float32"> {
  const size = channels / groups;
  const share = 1 / (cells * size);
  const group = (channel: number) => Math.floor(channel / size);
  return float32(
    [channels, channels],
    Float32Array.from({ length: channels ** 2 }, (_, i) =>
      group(Math.floor(i / channels)) === group(i % channels) ? share : 0,
    ),
  );
}

/** A plain map [B,C,H,W] as rows [B,H,W,C]. */
export function toRows(plain: Value): Value {
  const [batch, channels, height, width] = plain.shape as [number, number, number, number];
  // With one cell both orders are the same.
  if (height * width === 1) return reshape(plain, [batch, 1, 1, channels]);
  return transpose(plain, [0, 2, 3, 1]);
}

/** Rows [B,H,W,C] as a plain map [B,C,H,W]. */
export function toPlain(rows: Value): Value {
  const [batch, height, width, channels] = rows.shape as [number, number, number, number];
  if (height * width === 1) return reshape(rows, [batch, channels, 1, 1]);
  return transpose(rows, [0, 3, 1, 2]);
}
