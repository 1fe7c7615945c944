import { product } from "../base/mod.ts";
import type { Node } from "../graph/mod.ts";
import { float32 } from "../tensor/mod.ts";
import type { Emitter } from "./emitter.ts";
import { BLOCKED, type LoweringContext } from "./lowerings.ts";

/** Instance norm of the groups, then scale and shift spread over the map. */
export function lowerGroupNorm({ emit, graph, node, inputs }: LoweringContext<"groupNorm">): string {
  const { groups, epsilon } = node.attributes;
  const [x, scale, shift] = inputs as [string, string, string];
  const sizes = node.inputs.map((id) => graph.nodes[id]!.shape);
  const normal = inputs[3]
    ? normWith(emit, x, node.shape, inputs[3], node.attributes)
    : instanceNorm(emit, x, node.shape, groups, epsilon);
  const scaled = emit.emit("Mul", [normal, spread(emit, scale, sizes[1]!, node.shape)]);
  return emit.emit("Add", [scaled, spread(emit, shift, sizes[2]!, node.shape)]);
}

/** Mean and variance of the values of each group. */
export function lowerGroupMoments({ emit, graph, node, inputs }: LoweringContext<"groupMoments">): string {
  const [batch, groups] = node.shape as [number, number];
  const size = product(graph.nodes[node.inputs[0]!]!.shape) / (batch * groups);
  const x = emit.emit("Reshape", [inputs[0]!, emit.integers([batch, groups, size])]);
  const average = (values: string) => emit.emit("ReduceMean", [values, emit.integers([2])]);
  const mean = average(x);
  const centred = emit.emit("Sub", [x, mean]);
  const variance = average(emit.emit("Mul", [centred, centred]));
  return emit.emit("Concat", [mean, variance], { axis: { int: 2 } });
}

export function lowerBlockedGroupMoments(context: LoweringContext<"blockedGroupMoments">): string {
  const { emit, graph, node, inputs } = context;
  const { shape } = graph.nodes[node.inputs[0]!]!;
  const { mean, variance } = moments(emit, inputs[0]!, shape, node.attributes.groups);
  return emit.emit("Concat", [mean, variance], { axis: { int: 2 } });
}

/**
 * Small maps are normed in plain order, which has fewer nodes. Large ones stay blocked: statistics by pooling,
 * folded with scale and shift into one factor and one offset, which take a single pass over the map.
 */
export function lowerBlockedGroupNorm(context: LoweringContext<"blockedGroupNorm">): string {
  const { emit, graph, node, inputs } = context;
  const [x, scale, shift] = inputs as [string, string, string];
  const [rows, ...cells] = graph.nodes[node.inputs[1]!]!.shape;
  const isMap = product(cells.slice(1)) > 1;
  if (!isMap && inputs[3] === undefined && product(node.shape) < SMALL_MAP)
    return normPlain(emit, node, x, scale, shift);
  const shape = [node.shape[0]!, ...cells];
  const perPicture = (value: string) =>
    rows === shape[0] ? value : emit.emit("Expand", [value, emit.integers(shape)]);
  const fold = isMap ? foldIntoMaps : foldIntoChannels;
  const standard = standardise(emit, x, node, inputs[3]);
  return fold(emit, node, shape, standard, perPicture(scale), perPicture(shift));
}

/** Maps of fewer values than this are faster in plain order, by measurement. */
const SMALL_MAP = 131072;

type Blocked = Node<"blockedGroupNorm">;

function normPlain(
  emit: Emitter,
  { shape, attributes }: Blocked,
  x: string,
  scale: string,
  shift: string,
): string {
  const plain = emit.emit(`${BLOCKED}:ReorderOutput`, [x], { channels: { int: shape[1]! } });
  const normal = instanceNorm(emit, plain, shape, attributes.groups, attributes.epsilon);
  const result = emit.emit("Add", [emit.emit("Mul", [normal, scale]), shift]);
  return emit.emit(`${BLOCKED}:ReorderInput`, [result]);
}

/** A blocked map less its groups' means, and its groups' standard deviations [B,groups,1]. */
interface Standard {
  readonly centred: string;
  readonly deviation: string;
}

/** The centred map times a factor plus an offset a channel, as a depthwise 1x1 convolution. */
function foldIntoChannels(
  emit: Emitter,
  { shape, attributes: { groups } }: Blocked,
  _: readonly number[],
  { centred, deviation }: Standard,
  scale: string,
  shift: string,
): string {
  const byGroup = emit.integers([-1, groups, shape[1]! / groups]);
  const factor = emit.emit("Div", [emit.emit("Reshape", [scale, byGroup]), deviation]);
  return depthwise(emit, centred, shape, factor, shift);
}

/** The centred map times a factor plus an offset, both maps: the deviation goes into the smaller factor. */
function foldIntoMaps(
  emit: Emitter,
  node: Blocked,
  affine: readonly number[],
  { centred, deviation }: Standard,
  scale: string,
  shift: string,
): string {
  const [batch, channels] = node.shape as [number, number];
  const perGroup = channels / node.attributes.groups;
  const inverse = emit.emit("Div", [emit.constant(filled([1, 1, perGroup], 1)), deviation]);
  const none = emit.constant(filled([batch * channels], 0));
  const factor = depthwise(emit, scale, affine, inverse, none);
  const rows = blockedRows(emit, centred, node, affine);
  const scaled = emit.emit("Mul", [rows, spreadColumns(emit, factor, node, affine)]);
  const result = emit.emit("Add", [scaled, spreadColumns(emit, shift, node, affine)]);
  return emit.emit("Reshape", [result, emit.integers(node.shape)]);
}

function standardise(emit: Emitter, x: string, node: Blocked, given: string | undefined): Standard {
  const { groups, epsilon } = node.attributes;
  const own = given === undefined ? moments(emit, x, node.shape, groups) : undefined;
  const mean = own?.mean ?? momentAt(emit, given!, 0);
  const variance = own?.variance ?? momentAt(emit, given!, 1);
  return {
    centred: own?.centred ?? centre(emit, x, node.shape, groups, mean),
    deviation: emit.emit("Sqrt", [emit.emit("Add", [variance, emit.constant(float32([], [epsilon]))])]),
  };
}

/** Mean and variance [B,groups,1] of a blocked map, and the map less the means. */
function moments(emit: Emitter, x: string, shape: readonly number[], groups: number) {
  const byGroup = emit.integers([-1, groups, shape[1]! / groups]);
  const groupMean = (values: string) => {
    const perChannel = emit.emit("Reshape", [pool(emit, values, shape), byGroup]);
    return emit.emit("ReduceMean", [perChannel, emit.integers([2])]);
  };
  const mean = groupMean(x);
  const centred = centre(emit, x, shape, groups, mean);
  // Squares of centred values: mean(x^2) - mean(x)^2 would lose all digits where the mean is large.
  return { mean, variance: groupMean(emit.emit("Mul", [centred, centred])), centred };
}

/** A blocked map less its groups' means [B,groups,1]. */
function centre(emit: Emitter, x: string, shape: readonly number[], groups: number, mean: string): string {
  const [batch, channels] = shape as [number, number];
  const ones = emit.constant(filled([batch * channels, 1, 1, 1], 1));
  const none = emit.constant(filled([1, 1, channels / groups], 0));
  return depthwise(emit, x, shape, ones, emit.emit("Sub", [none, mean]));
}

function momentAt(emit: Emitter, both: string, index: number): string {
  const [start, end, axis] = [index, index + 1, 2].map((n) => emit.integers([n])) as [string, string, string];
  return emit.emit("Slice", [both, start, end, axis]);
}

function normWith(
  emit: Emitter,
  x: string,
  shape: readonly number[],
  given: string,
  { groups, epsilon }: { readonly groups: number; readonly epsilon: number },
): string {
  const grouped = emit.emit("Reshape", [
    x,
    emit.integers([shape[0]!, groups, product(shape.slice(1)) / groups]),
  ]);
  const centred = emit.emit("Sub", [grouped, momentAt(emit, given, 0)]);
  const variance = emit.emit("Add", [momentAt(emit, given, 1), emit.constant(float32([], [epsilon]))]);
  return emit.emit("Reshape", [
    emit.emit("Div", [centred, emit.emit("Sqrt", [variance])]),
    emit.integers(shape),
  ]);
}

/**
 * Mean of each channel of a blocked map, [B,C,1,1]: first of each row, then of the rows, so that float32 sums
 * stay short. A row of a blocked map is a blocked map of one row.
 */
function pool(emit: Emitter, x: string, shape: readonly number[]): string {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const rows = emit.emit("Reshape", [x, emit.integers([batch, channels * height, 1, width])]);
  const rowMeans = emit.emit(`${BLOCKED}:GlobalAveragePool`, [rows]);
  const columns = emit.emit("Reshape", [rowMeans, emit.integers([batch, channels, 1, height])]);
  return emit.emit(`${BLOCKED}:GlobalAveragePool`, [columns]);
}

/** Each channel of a blocked map times its factor plus its offset, both of B*C values in any shape. */
function depthwise(
  emit: Emitter,
  x: string,
  shape: readonly number[],
  factor: string,
  offset: string,
): string {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const all = batch * channels;
  const flat = emit.emit("Reshape", [x, emit.integers([1, all, height, width])]);
  const weight = emit.emit("Reshape", [factor, emit.integers([all, 1, 1, 1])]);
  const bias = emit.emit("Reshape", [offset, emit.integers([all])]);
  const result = emit.emit(`${BLOCKED}:Conv`, [flat, weight, bias], {
    group: { int: all },
    kernel_shape: { ints: [1, 1] },
  });
  return emit.emit("Reshape", [result, emit.integers(shape)]);
}

/** A blocked map with all rows that share a row of cells side by side: [rows of cells, rows in a cell, W*block]. */
function blockedRows(
  emit: Emitter,
  x: string,
  { shape, attributes }: Blocked,
  cells: readonly number[],
): string {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const h = cells[2]!;
  const { block } = attributes;
  return emit.emit("Reshape", [
    x,
    emit.integers([(batch * channels * h) / block, height / h, width * block]),
  ]);
}

/** A blocked map [B,C,h,w] with each column repeated to the width of the node: [rows, 1, W*block]. */
function spreadColumns(
  emit: Emitter,
  map: string,
  { shape, attributes }: Blocked,
  cells: readonly number[],
): string {
  const [batch, channels, , width] = shape as [number, number, number, number];
  const [, , h, w] = cells as [number, number, number, number];
  const { block } = attributes;
  const rows = (batch * channels * h) / block;
  const narrow = emit.emit("Reshape", [map, emit.integers([rows * w, 1, block])]);
  const wide = emit.emit("Expand", [narrow, emit.integers([rows * w, width / w, block])]);
  return emit.emit("Reshape", [wide, emit.integers([rows, 1, width * block])]);
}

function instanceNorm(
  emit: Emitter,
  x: string,
  shape: readonly number[],
  groups: number,
  epsilon: number,
): string {
  const [batch, ...rest] = shape;
  const grouped = emit.emit("Reshape", [x, emit.integers([batch!, groups, product(rest) / groups])]);
  const ones = emit.constant(filled([groups], 1));
  const zeros = emit.constant(filled([groups], 0));
  const normal = emit.emit("InstanceNormalization", [grouped, ones, zeros], { epsilon: { float: epsilon } });
  return emit.emit("Reshape", [normal, emit.integers(shape)]);
}

/** A scale or shift at the size of the map, unless a number a channel, which broadcasts. */
function spread(emit: Emitter, operand: string, from: readonly number[], to: readonly number[]): string {
  if (product(from.slice(2)) === 1) return operand;
  const scales = emit.constant(float32([4], [1, 1, to[2]! / from[2]!, to[3]! / from[3]!]));
  return emit.emit("Resize", [operand, "", scales], NEAREST);
}

/** Each cell becomes a rectangle of equal cells. */
export const NEAREST = {
  mode: { string: "nearest" },
  coordinate_transformation_mode: { string: "asymmetric" },
  nearest_mode: { string: "floor" },
} as const;

function filled(shape: readonly number[], value: number) {
  return float32(shape, new Float32Array(product(shape)).fill(value));
}
