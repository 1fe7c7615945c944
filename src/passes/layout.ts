import { product } from "../base/mod.ts";
import {
  add,
  attention,
  concat,
  type Graph,
  type Node,
  type Padding,
  reshape,
  rewrite,
  slice,
  transpose,
  useCounts,
  type Value,
} from "../graph/mod.ts";
import { zeros } from "../tensor/mod.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * Keeps maps in blocks of `block` channels, the order that ONNX Runtime's convolutions work in: convolutions
 * whose channels the block divides become blocked ones, what lies between them follows, and values are
 * reordered only where something needs the plain order. Weights are laid out by expressions over weights.
 */
export function blockedLayout(block: number): Pass {
  return { name: "blocked-layout", run: (graph) => removeDeadNodes(new Layout(graph, block).run()) };
}

/** The other forms of a value of the new graph. */
class Forms {
  readonly #blocked = new Map<number, Value>();
  readonly #tokens = new Map<number, Value>();
  readonly #maps = new Map<number, Value>();
  readonly block: number;

  constructor(block: number) {
    this.block = block;
  }

  /** A blocked map's plain form, remembered as such; unused it is dropped in the end. */
  plainOf(blocked: Value, channels = blocked.shape[1]!): Value {
    const plain = blocked.builder.apply("fromBlocked", [blocked], { block: this.block, channels });
    if (channels === blocked.shape[1]) this.#blocked.set(plain.id, blocked);
    return plain;
  }

  /** The blocked form of a plain map; undefined where the block does not divide its channels. */
  blockedOf(plain: Value): Value | undefined {
    if (plain.shape.length !== 4 || plain.shape[1]! % this.block !== 0) return undefined;
    const known = this.#blocked.get(plain.id);
    if (known !== undefined) return known;
    // With one cell both orders are the same.
    if (plain.shape[2] === 1 && plain.shape[3] === 1) return plain;
    const blocked = plain.builder.apply("toBlocked", [plain], { block: this.block });
    this.#blocked.set(plain.id, blocked);
    return blocked;
  }

  isBlocked(plain: Value): boolean {
    return this.#blocked.has(plain.id);
  }

  /** Tokens [B,N,C] that a plain sequence [B,C,N] is the transposition of. */
  tokensOf(plain: Value): Value | undefined {
    return this.#tokens.get(plain.id);
  }

  /** The blocked map [B,C,1,N] that tokens [B,N,C] came from. */
  mapOf(tokens: Value): Value | undefined {
    return this.#maps.get(tokens.id);
  }

  rememberMap(tokens: Value, map: Value): void {
    this.#maps.set(tokens.id, map);
  }

  rememberTokens(plain: Value, tokens: Value): void {
    this.#tokens.set(plain.id, tokens);
  }
}

class Layout {
  readonly #graph: Graph;
  readonly #forms: Forms;
  readonly #uses: readonly number[];

  constructor(graph: Graph, block: number) {
    this.#graph = graph;
    this.#forms = new Forms(block);
    this.#uses = useCounts(graph);
  }

  run(): Graph {
    return rewrite(this.#graph, (node, inputs, { copyOf }) => {
      const rule = this.#rules[node.op] as
        | ((n: Node, i: readonly Value[], c: CopyOf) => Value | undefined)
        | undefined;
      return rule?.(node, inputs, copyOf);
    });
  }

  readonly #rules: { readonly [K in Node["op"]]?: Rule<K> } = {
    conv2d: (node, inputs, copyOf) => this.#convolution(node, inputs, copyOf),
    convTranspose2d: (_, inputs) => this.#doubling(inputs),
    matmul: (node, inputs) => this.#linear(node, inputs),
    groupMoments: ({ attributes }, [x]) => {
      if (!this.#forms.isBlocked(x!)) return undefined;
      const { block } = this.#forms;
      return x!.builder.apply("blockedGroupMoments", [this.#forms.blockedOf(x!)!], { ...attributes, block });
    },
    groupNorm: (node, [x, scale, shift, moments]) => {
      if (!this.#forms.isBlocked(x!)) return undefined;
      const operands = [x!, scale!, shift!].map((value) => this.#forms.blockedOf(value)!);
      if (moments) operands.push(moments);
      const attributes = { ...node.attributes, block: this.#forms.block };
      return this.#forms.plainOf(x!.builder.apply("blockedGroupNorm", operands, attributes));
    },
    silu: (node, inputs) => this.#elementwise(node, inputs),
    mul: (node, inputs) => this.#elementwise(node, inputs),
    sub: (node, inputs) => this.#elementwise(node, inputs),
    add: (node, inputs) => this.#sum(node, inputs) ?? this.#elementwise(node, inputs),
    concat: (node, inputs) => {
      const blocked = inputs.map((x) => (this.#forms.isBlocked(x) ? this.#forms.blockedOf(x) : undefined));
      if (blocked.some((x) => x === undefined)) return undefined;
      if (node.attributes.axis === 1) return this.#forms.plainOf(concat(blocked as Value[], 1));
      if (node.attributes.axis !== 2) return undefined;
      const rows = concat(
        blocked.map((x) => rowsOf(x!, this.#forms.block)),
        1,
      );
      return this.#forms.plainOf(reshape(rows, node.shape));
    },
    slice: (node, [x]) => {
      const { axis, start, end, step } = node.attributes;
      if (axis !== 2 || !this.#forms.isBlocked(x!)) return undefined;
      const rows = slice(rowsOf(this.#forms.blockedOf(x!)!, this.#forms.block), 1, start, end, step);
      return this.#forms.plainOf(reshape(rows, node.shape));
    },
    attention: (node, inputs) => this.#attention(node, inputs),
    reshape: (node, [x]) => {
      const tokens = this.#forms.tokensOf(x!);
      const [batch, channels, height, width] = node.shape as [number, number, number, number];
      if (
        tokens === undefined ||
        node.shape.length !== 4 ||
        x!.shape.slice(0, 2).join() !== `${batch},${channels}`
      ) {
        return undefined;
      }
      const attributes = { block: this.#forms.block, height, width };
      return this.#forms.plainOf(tokens.builder.apply("tokensToBlocked", [tokens], attributes));
    },
  };

  #convolution(node: Node<"conv2d">, [x, weight, bias]: readonly Value[], copyOf: CopyOf): Value | undefined {
    const resize = this.#graph.nodes[node.inputs[0]!]!;
    if (
      resize.op === "resizeNearest" &&
      resize.attributes.factor === 2 &&
      this.#keepsSize(node.attributes, weight!)
    ) {
      const source = this.#forms.blockedOf(copyOf(resize.inputs[0]!));
      if (source !== undefined) return this.#phases(source, weight!, bias);
    }
    const source = this.#forms.blockedOf(x!);
    if (source === undefined) return undefined;
    const { stride, padding } = node.attributes;
    return this.#forms.plainOf(this.#blockedConv(source, weight!, bias, stride, padding), weight!.shape[0]);
  }

  /** Whether a convolution is a 3x3 one that keeps a map's size and whose results are whole blocks. */
  #keepsSize({ stride, padding }: Node<"conv2d">["attributes"], { shape: [out, , kh, kw] }: Value): boolean {
    const isPlain = stride === 1 && padding.every((side) => side === 1);
    return isPlain && kh === 3 && kw === 3 && out! % this.#forms.block === 0;
  }

  #blockedConv(x: Value, weight: Value, bias: Value | undefined, stride: number, padding: Padding): Value {
    const { block } = this.#forms;
    const operands = [x, blockWeight(weight, block), ...(bias ? [padRows(bias, block)] : [])];
    return x.builder.apply("blockedConv2d", operands, { block, stride, padding });
  }

  /** A linear layer with a stored weight is a 1x1 convolution of a map with one row. */
  #linear(node: Node<"matmul">, [x, weight]: readonly Value[]): Value | undefined {
    const { block } = this.#forms;
    const [outer, inner] = weight!.shape as [number, number];
    const isLinear = node.attributes.transposeB && this.#graph.nodes[node.inputs[1]!]!.op === "parameter";
    if (!isLinear || inner % block !== 0 || outer % block !== 0 || x!.shape.length < 2) return undefined;
    const [length, rows] = [x!.shape.at(-2)!, product(x!.shape.slice(0, -1))];
    // Short sequences share one map, so that the convolution has rows enough to work on.
    const width = length < MIN_SEQUENCE ? rows : length;
    const tokens = reshape(x!, [rows / width, width, inner]);
    const map = x!.builder.apply("tokensToBlocked", [tokens], { block, height: 1, width });
    const result = this.#blockedConv(map, reshape(weight!, [outer, inner, 1, 1]), undefined, 1, [0, 0, 0, 0]);
    const plain = x!.builder.apply("blockedToTokens", [result], { block });
    const shaped = reshape(plain, node.shape);
    if (shaped.shape.length === 3 && width === length) this.#forms.rememberMap(shaped, result);
    return shaped;
  }

  /** Tokens [B,N,C] as [B,C,N]; straight from the map where they came from one. */
  #asChannels(tokens: Value): Value {
    const map = this.#forms.mapOf(tokens);
    const [batch, length, channels] = tokens.shape as [number, number, number];
    return map === undefined
      ? transpose(tokens, [0, 2, 1])
      : reshape(this.#forms.plainOf(map), [batch, channels, length]);
  }

  /** A 2x2 transposed convolution is a 1x1 convolution to four times the channels, laid out side by side. */
  #doubling([x, weight, bias]: readonly Value[]): Value | undefined {
    const { block } = this.#forms;
    const source = this.#forms.blockedOf(x!);
    const [inner, outer, factor] = weight!.shape as [number, number, number];
    if (source === undefined || outer % block !== 0) return undefined;
    const corners = factor * factor;
    const pointwise = reshape(transpose(weight!, [2, 3, 1, 0]), [corners * outer, inner, 1, 1]);
    const biases = bias && concat(new Array<Value>(corners).fill(bias), 0);
    const apart = this.#blockedConv(source, pointwise, biases, 1, [0, 0, 0, 0]);
    const [batch, , height, width] = source.shape as [number, number, number, number];
    const cells = reshape(apart, [batch, factor, factor, outer / block, height, width, block]);
    const together = transpose(cells, [0, 3, 4, 1, 5, 2, 6]);
    return this.#forms.plainOf(reshape(together, [batch, outer, factor * height, factor * width]));
  }

  /**
   * Nearest doubling then 3x3: each of the four results of a cell sees only 2x2 cells, with the kernel's rows
   * and columns that fall on one cell added up. 16 products a cell instead of 36.
   */
  #phases(x: Value, weight: Value, bias: Value | undefined): Value {
    const { block } = this.#forms;
    const [batch, , height, width] = x.shape as [number, number, number, number];
    const outer = weight.shape[0]!;
    const rows = (batch * outer * height) / block;
    const strips = [0, 1].map((i) => {
      const cells = [0, 1].map((j) => {
        const kernel = foldTaps(foldTaps(weight, 2, i), 3, j);
        const phase = this.#blockedConv(x, kernel, bias, 1, [1 - i, 1 - j, i, j] as Padding);
        return reshape(phase, [rows, 1, width, 1, block]);
      });
      return concat(cells, 3);
    });
    return this.#forms.plainOf(reshape(concat(strips, 1), [batch, outer, 2 * height, 2 * width]));
  }

  /** Operations that treat every value alike, on maps of one shape. */
  #elementwise(node: Node<"silu" | "mul" | "sub" | "add">, inputs: readonly Value[]): Value | undefined {
    const shape = node.shape.join();
    if (inputs.some((x) => x.shape.join() !== shape) || !inputs.some((x) => this.#forms.isBlocked(x)))
      return undefined;
    const operands = inputs.map((x) => this.#forms.blockedOf(x)!);
    return this.#forms.plainOf(operands[0]!.builder.apply(node.op, operands, {}));
  }

  /** A residual sum is made by the convolution that computes one of its sides. */
  #sum(node: Node<"add">, inputs: readonly Value[]): Value | undefined {
    for (const side of [1, 0]) {
      const conv = this.#blockedConvBehind(inputs[side]!, node.inputs[side]!);
      const other = inputs[1 - side]!;
      if (conv === undefined || other.shape.join() !== node.shape.join()) continue;
      const sum = this.#forms.blockedOf(other);
      if (sum === undefined) continue;
      const [x, weight, bias] = conv.inputs;
      const none = () => x!.builder.constant(zeros("float32", [weight!.shape[0]!]));
      const operands = [x!, weight!, bias ?? none(), sum];
      return this.#forms.plainOf(x!.builder.apply("blockedConv2d", operands, conv.attributes));
    }
    return undefined;
  }

  #blockedConvBehind(plain: Value, oldId: number) {
    if (this.#graph.nodes[oldId]!.op !== "conv2d" || this.#uses[oldId] !== 1) return undefined;
    if (!this.#forms.isBlocked(plain)) return undefined;
    const { node, inputs } = plain.builder.definition(this.#forms.blockedOf(plain)!);
    return node.op === "blockedConv2d" && inputs.length < 4
      ? { attributes: node.attributes, inputs }
      : undefined;
  }

  /**
   * Self-attention reads blocked maps as tokens, which the runtime's own attention works on. Keys that come as
   * tokens are transposed here, so that the split moves that work out of the loop.
   */
  #attention(node: Node<"attention">, [q, k, v, bias]: readonly Value[]): Value | undefined {
    const { queries, keys } = node.attributes;
    if (queries !== "channels") return undefined;
    if (keys === "tokens") {
      const [kc, vc] = [k!, v!].map((x) => this.#asChannels(x)) as [Value, Value];
      return attention(q!, kc, vc, bias, { ...node.attributes, keys: "channels" });
    }
    const tokens = [q!, k!, v!].map((x) => this.#asTokens(x));
    if (bias !== undefined || tokens.some((x) => x === undefined)) return undefined;
    const [qt, kt, vt] = tokens as [Value, Value, Value];
    const mixed = attention(qt, kt, vt, undefined, { ...node.attributes, queries: "tokens", keys: "tokens" });
    const plain = transpose(mixed, [0, 2, 1]);
    this.#forms.rememberTokens(plain, mixed);
    return plain;
  }

  /** A sequence [B,C,N] that is a reshaped blocked map, as tokens [B,N,C]. */
  #asTokens(x: Value): Value | undefined {
    const { node, inputs } = x.builder.definition(x);
    const map = inputs[0];
    if (node.op !== "reshape" || map === undefined || !this.#forms.isBlocked(map)) return undefined;
    return x.builder.apply("blockedToTokens", [this.#forms.blockedOf(map)!], { block: this.#forms.block });
  }
}

/** Sequences shorter than this are joined over the batch. */
const MIN_SEQUENCE = 16;

type CopyOf = (id: number) => Value;
type Rule<K extends Node["op"]> = (
  node: Node<K>,
  inputs: readonly Value[],
  copyOf: CopyOf,
) => Value | undefined;

/** A blocked map as [blocks of the batch, rows, values of a row]: its rows can be cut and joined. */
function rowsOf(blocked: Value, block: number): Value {
  const [batch, channels, height, width] = blocked.shape as [number, number, number, number];
  return reshape(blocked, [(batch * channels) / block, height, width * block]);
}

/** [O,C,kh,kw] in the order of [O/block, C/block, kh, kw, block (in), block (out)]; O is padded with zeros. */
function blockWeight(weight: Value, block: number): Value {
  const padded = padRows(weight, block);
  const [outer, inner, kh, kw] = padded.shape as [number, number, number, number];
  const split = reshape(padded, [outer / block, block, inner / block, block, kh, kw]);
  return reshape(transpose(split, [0, 2, 4, 5, 3, 1]), padded.shape);
}

/** Rows of zeros up to a multiple of the block. */
function padRows(x: Value, block: number): Value {
  const missing = -x.shape[0]! & (block - 1);
  if (missing === 0) return x;
  const shape = [missing, ...x.shape.slice(1)];
  return concat([x, x.builder.constant(zeros("float32", shape))], 0);
}

/** Three taps that fall on two cells: the first alone and the other two added, or the other way about. */
function foldTaps(weight: Value, axis: number, phase: number): Value {
  const [a, b, c] = [0, 1, 2].map((i) => slice(weight, axis, i, i + 1)) as [Value, Value, Value];
  return phase === 0 ? concat([a, add(b, c)], axis) : concat([add(a, b), c], axis);
}
