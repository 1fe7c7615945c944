import { product } from "../base/mod.ts";
import {
  cast,
  concat,
  type Graph,
  type GraphBuilder,
  gather,
  type Node,
  nodesOf,
  reshape,
  rewrite,
  slice,
  type Value,
} from "../graph/mod.ts";
import { middleCode, type PackedForm, type QuantScheme } from "../quant/mod.ts";
import { removeDeadNodes } from "./split.ts";

/** A weight of the old graph that the new one reads rounded, and how it is to be packed. */
export interface RoundedWeight {
  readonly weight: string;
  readonly form: PackedForm;
}

/** Which piece of a rounded weight a parameter of the new graph is. */
export interface RoundedPiece {
  /** A key of `weights`. */
  readonly packed: string;
  readonly slice: number;
  readonly role: "codes" | "scales" | "zeros";
}

/** A graph whose layers read rounded weights. */
export interface RoundedGraph {
  readonly graph: Graph;
  /** By the name under which they are packed. */
  readonly weights: ReadonlyMap<string, RoundedWeight>;
  /** The parameters that are pieces of them. */
  readonly pieces: ReadonlyMap<string, RoundedPiece>;
}

/** The rounding of a weight of the graph; undefined where it stays as it is. */
export type SchemeOf = (parameter: string) => QuantScheme | undefined;

/**
 * Blocked convolutions read their weights rounded, and widen them right before they run: some channels of the result
 * at a time, so that what is widened stays in the cache. The same values as if the weights were rounded beforehand.
 */
export function roundConvolutions(graph: Graph, schemeOf: SchemeOf): RoundedGraph {
  return roundLayers(graph, (pieces, node, inputs, weight) => {
    if (node.op !== "blockedConv2d") return undefined;
    const scheme = schemeOf(weight.attributes.name);
    const form = scheme && convolutionForm(scheme, weight.shape, node.attributes.block);
    if (form === undefined) return undefined;
    const taken = pieces.take(inputs[0]!.builder, weight.attributes.name, form);
    return sliced(node, inputs, taken, form.scheme);
  });
}

/**
 * Linear layers x [...,K] with a weight [N,K] become products with rounded matrices, and of tables [N,K] only the rows
 * that are looked up are widened.
 */
export function roundLinears(graph: Graph, schemeOf: SchemeOf): RoundedGraph {
  return roundLayers(graph, (pieces, node, [x, indices], weight) => {
    if (node.op === "gather") return lookedUp(pieces, indices!, weight, schemeOf(weight.attributes.name));
    if (node.op !== "matmul" || !node.attributes.transposeB || weight.shape.length !== 2) return undefined;
    const scheme = schemeOf(weight.attributes.name);
    const form = scheme && linearForm(scheme, weight.shape);
    if (form === undefined) return undefined;
    const { bits, block } = form.scheme;
    const [codes, scales, zeros] = pieces.take(x!.builder, weight.attributes.name, form)[0]!;
    const [out, inner] = weight.shape as [number, number];
    const operands = [
      x!,
      reshape(codes!, [out, inner / block, (block * bits) / 8]),
      reshape(scales!, [out, inner / block]),
      ...(zeros ? [reshape(zeros, [out, Math.ceil(((inner / block) * bits) / 8)])] : []),
    ];
    return x!.builder.apply("matmulNBits", operands, { bits, block });
  });
}

/** Rows of a rounded table, with 8 bits: every later layer sees their errors, and tables are small beside the rest. */
function lookedUp(
  pieces: Pieces,
  indices: Value,
  { shape, attributes }: Node<"parameter">,
  scheme: QuantScheme | undefined,
): Value | undefined {
  const form = scheme && linearForm({ ...scheme, bits: 8 }, shape);
  if (form === undefined) return undefined;
  const { builder } = indices;
  const rows = product(indices.shape);
  const operands = pieces
    .take(builder, attributes.name, form)[0]!
    .map((x) => reshape(gather(x, indices), [rows, ...x.shape.slice(1)]));
  const { block } = form.scheme;
  const widened = builder.apply("dequantize", operands, {
    block,
    plane: "bytes",
    zero: middleCode(form.scheme),
  });
  return reshape(widened, [...indices.shape, shape[1]!]);
}

type Layer = (
  pieces: Pieces,
  node: Node,
  inputs: readonly Value[],
  weight: Node<"parameter">,
) => Value | undefined;

function roundLayers(graph: Graph, layer: Layer): RoundedGraph {
  const pieces = new Pieces();
  const rounded = rewrite(graph, (node, inputs) => {
    const operand = node.inputs[node.op === "gather" ? 0 : 1];
    const weight = operand === undefined ? undefined : graph.nodes[operand]!;
    return weight?.op === "parameter" ? layer(pieces, node, inputs, weight) : undefined;
  });
  const clean = removeDeadNodes(rounded);
  const used = new Set(nodesOf(clean, "parameter").map(({ attributes }) => attributes.name));
  return {
    graph: clean,
    weights: pieces.weights,
    pieces: new Map([...pieces.pieces].filter(([name]) => used.has(name))),
  };
}

/** Names pieces and makes their parameters. */
class Pieces {
  readonly weights = new Map<string, RoundedWeight>();
  readonly pieces = new Map<string, RoundedPiece>();

  /** For every slice codes, scales and, where there are some, zero points. */
  take(builder: GraphBuilder, weight: string, form: PackedForm): Value[][] {
    const { scheme, grid, slices } = form;
    const { bits, block, symmetric } = scheme;
    const packed = `${weight}~q${bits}b${block}${symmetric ? "s" : "a"}${form.codes}${slices.length}`;
    this.weights.set(packed, { weight, form });
    const blocks = grid.length / block;
    const packs = form.codes === "pairs" && bits === 4;
    return slices.map((groups, i) => {
      const piece = (role: RoundedPiece["role"], shape: readonly number[], dtype: Value["dtype"]) => {
        const name = `${packed}/${i}/${role}`;
        this.pieces.set(name, { packed, slice: i, role });
        return builder.parameter(name, shape, dtype);
      };
      const codes: Record<PackedForm["codes"], readonly number[]> = {
        bytes: [groups, grid.length, grid.lanes],
        halves: [groups / 2, grid.length, grid.lanes],
        pairs: [groups, grid.length / 2, grid.lanes],
      };
      const perBlock = [groups, blocks, grid.lanes];
      const zeros = packs ? [groups, Math.ceil(blocks / 2), 1] : perBlock;
      return [
        piece("codes", codes[form.codes], "uint8"),
        cast(piece("scales", perBlock, form.scales), "float32"),
        ...(symmetric ? [] : [piece("zeros", zeros, "uint8")]),
      ];
    });
  }
}

/** Widened weights of a slice take about this much: more would leave the cache, fewer channels slow the kernels. */
const SLICE_BYTES = 8e6;
/** Channel blocks of a result that the runtime's kernels compute together are 4; two halves of a byte have as many each. */
const SLICE_GROUPS = 8;
/** Smaller weights gain nothing. */
const LEAST_WEIGHTS = 4096;

function convolutionForm(
  scheme: QuantScheme,
  shape: readonly number[],
  lanes: number,
): PackedForm | undefined {
  const groups = shape[0]! / lanes;
  const grid = { groups, length: product(shape.slice(1)), lanes };
  if (grid.length % scheme.block !== 0 || product(shape) < LEAST_WEIGHTS) return undefined;
  const fitting = Math.floor(SLICE_BYTES / (4 * grid.length * lanes * SLICE_GROUPS)) * SLICE_GROUPS;
  const slices = split(groups, Math.max(SLICE_GROUPS, fitting));
  const halves = scheme.bits === 4 && slices.every((count) => count % 2 === 0);
  return { scheme, grid, slices, codes: halves ? "halves" : "bytes", scales: "float16" };
}

function linearForm(scheme: QuantScheme, shape: readonly number[]): PackedForm | undefined {
  const [groups, length] = shape as [number, number];
  if (length % scheme.block !== 0 || product(shape) < LEAST_WEIGHTS) return undefined;
  const codes = scheme.bits === 4 ? "pairs" : "bytes";
  // Constants in the type that the product computes in, so that it can lay them out while it is loaded.
  return { scheme, grid: { groups, length, lanes: 1 }, slices: [groups], codes, scales: "float32" };
}

function split(count: number, size: number): number[] {
  const parts = Array.from({ length: Math.floor(count / size) }, () => size);
  return count % size === 0 ? parts : [...parts, count % size];
}

/** The convolution slice by slice, each half of a byte by itself. */
function sliced(
  node: Node<"blockedConv2d">,
  [x, weight, bias, sum]: readonly Value[],
  pieces: readonly (readonly Value[])[],
  scheme: QuantScheme,
): Value {
  const [, ...kernel] = weight!.shape;
  const results: Value[] = [];
  let channel = 0;
  for (const [codes, scales, zeros] of pieces) {
    for (const half of halvesOf(scheme, codes!, scales!, zeros)) {
      const [groups, , lanes] = half.shape as [number, number, number];
      const end = channel + groups * lanes;
      const part = (whole: Value | undefined, axis: number) =>
        whole === undefined ? [] : [slice(whole, axis, channel, end)];
      const operands = [x!, reshape(half, [groups * lanes, ...kernel]), ...part(bias, 0), ...part(sum, 1)];
      results.push(x!.builder.apply("blockedConv2d", operands, node.attributes));
      channel = end;
    }
  }
  return concat(results, 1);
}

function halvesOf(scheme: QuantScheme, codes: Value, scales: Value, zeros: Value | undefined): Value[] {
  const { builder } = codes;
  const groups = codes.shape[0]!;
  const count = scales.shape[0]! / groups;
  const planes = count === 1 ? (["bytes"] as const) : (["low", "high"] as const);
  return planes.map((plane, i) => {
    const part = (whole: Value) => slice(whole, 0, i * groups, (i + 1) * groups);
    const operands = [codes, part(scales), ...(zeros ? [part(zeros)] : [])];
    return builder.apply("dequantize", operands, {
      block: scheme.block,
      plane,
      zero: middleCode(scheme),
    });
  });
}
