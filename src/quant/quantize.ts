import { float16ToNumber, numberToFloat16 } from "../tensor/mod.ts";
import { highestCode, middleCode, type QuantScheme } from "./scheme.ts";

/**
 * Weights as rows that are summed over, `lanes` of them interleaved: the values lie as [groups, length, lanes], and
 * blocks run along `length`. A matrix [N,K] has N groups of one lane; a convolution in blocked order has a lane for
 * each channel of a block.
 */
export interface Grid {
  readonly groups: number;
  readonly length: number;
  readonly lanes: number;
}

/** What turns codes into weights: (code - zero) * scale, each [groups, length / block, lanes]. */
export interface BlockScales {
  /** Binary16 bits; negative where the largest weight of a symmetric block is positive. */
  readonly scales: Uint16Array;
  /** Codes of zero; absent where all are the middle code. */
  readonly zeros?: Uint8Array;
}

/** Rounded weights: codes [groups, length, lanes], one a byte, and their scales. */
export interface Quantized extends BlockScales {
  readonly codes: Uint8Array;
}

/** Whether blocks of the scheme fill the grid's rows. */
export function fitsGrid({ length }: Grid, { block }: QuantScheme): boolean {
  return length > 0 && length % block === 0;
}

/**
 * Scales (and zero points) of finite weights in the order of `grid`, blocks of which must fill its rows. Of a few
 * narrowings of a block's range the one with the least squared error is taken. What was rounded
 * before is found again without error, as long as its scales are normal float16 numbers (from 6.1e-5).
 */
export function fitScales(weights: Float32Array, grid: Grid, scheme: QuantScheme): BlockScales {
  const { groups, length, lanes } = grid;
  const blocks = length / scheme.block;
  const scales = new Uint16Array(groups * blocks * lanes);
  const zeros = scheme.symmetric ? undefined : new Uint8Array(scales.length);
  const values = new Float64Array(scheme.block);
  const shares = sharesOf(scheme);
  let at = 0;
  for (let group = 0; group < groups; group++) {
    for (let block = 0; block < blocks; block++) {
      const start = (group * length + block * scheme.block) * lanes;
      for (let lane = 0; lane < lanes; lane++) {
        let low = 0;
        let high = 0;
        for (let k = 0, i = start + lane; k < values.length; k++, i += lanes) {
          const value = weights[i]!;
          values[k] = value;
          if (value < low) low = value;
          else if (value > high) high = value;
        }
        const fit = fitBlock(values, scheme, { low, high }, shares);
        scales[at] = fit.scale;
        if (zeros) zeros[at] = fit.zero;
        at++;
      }
    }
  }
  return zeros ? { scales, zeros } : { scales };
}

/** The codes [groups, length, lanes] nearest to the weights, with scales of `fitScales`. */
export function encodeWeights(
  weights: Float32Array,
  grid: Grid,
  scheme: QuantScheme,
  { scales, zeros }: BlockScales,
): Uint8Array {
  const codes = new Uint8Array(weights.length);
  const highest = highestCode(scheme);
  const middle = middleCode(scheme);
  walk(grid, scheme.block, (start, end, at) => {
    const inverse = inverseOf(float16ToNumber(scales[at]!));
    const zero = zeros?.[at] ?? middle;
    for (let i = start; i < end; i += grid.lanes) {
      codes[i] = codeOf(weights[i]!, inverse, zero, highest);
    }
  });
  return codes;
}

/** Scales and codes of weights. */
export function quantize(weights: Float32Array, grid: Grid, scheme: QuantScheme): Quantized {
  const fitted = fitScales(weights, grid, scheme);
  return { codes: encodeWeights(weights, grid, scheme, fitted), ...fitted };
}

/** The weights that codes stand for. Exact: a code less its zero has 8 bits, a scale 11, float32 has 24. */
export function dequantize({ codes, scales, zeros }: Quantized, grid: Grid, scheme: QuantScheme) {
  const weights = new Float32Array(codes.length);
  const middle = middleCode(scheme);
  walk(grid, scheme.block, (start, end, at) => {
    const scale = float16ToNumber(scales[at]!);
    const zero = zeros?.[at] ?? middle;
    for (let i = start; i < end; i += grid.lanes) weights[i] = (codes[i]! - zero) * scale;
  });
  return weights;
}

/** Calls `visit` for every block of every lane: its first weight's place, where it ends, and its scale's place. */
function walk(
  { groups, length, lanes }: Grid,
  block: number,
  visit: (start: number, end: number, at: number) => void,
): void {
  let at = 0;
  const size = block * lanes;
  for (let first = 0; first < groups * length * lanes; first += size) {
    for (let lane = 0; lane < lanes; lane++) visit(first + lane, first + size, at++);
  }
}

interface BlockFit {
  /** Binary16 bits. */
  readonly scale: number;
  readonly zero: number;
}

/** Shares of a block's range that are tried: cutting off its ends leaves finer steps for the rest. */
const SHARES: readonly number[] = [1, 0.92, 0.84, 0.76];

/** With 8 bits the ends matter more than the steps. Symmetric codes also have a form with as many on both sides. */
function sharesOf({ bits, symmetric }: QuantScheme): readonly number[] {
  if (bits === 8) return [1];
  return symmetric ? [...SHARES, 8 / 7] : SHARES;
}

function fitBlock(
  values: Float64Array,
  scheme: QuantScheme,
  range: Range,
  shares: readonly number[],
): BlockFit {
  const fitShare = scheme.symmetric ? fitSymmetric : fitRange;
  let best = fitShare(range, scheme, shares[0]!);
  if (shares.length === 1) return best;
  let least = errorOf(values, scheme, best, Number.POSITIVE_INFINITY);
  for (let i = 1; i < shares.length && least > 0; i++) {
    const fit = fitShare(range, scheme, shares[i]!);
    const error = errorOf(values, scheme, fit, least);
    if (error < least) {
      best = fit;
      least = error;
    }
  }
  return best;
}

/** Smallest and largest weight of a block, zero included. */
interface Range {
  readonly low: number;
  readonly high: number;
}

/** The weight of largest magnitude gets code 0, whatever its sign: that side has one code more. */
function fitSymmetric({ low, high }: Range, scheme: QuantScheme, share: number): BlockFit {
  const extreme = -low > high ? low : high;
  const zero = middleCode(scheme);
  return { scale: numberToFloat16((-extreme * share) / zero), zero };
}

/** From the smallest to the largest weight. The scale is rounded down, so that both ends are reached. */
function fitRange({ low, high }: Range, scheme: QuantScheme, share: number): BlockFit {
  const highest = highestCode(scheme);
  const wanted = ((high - low) * share) / highest;
  const nearest = numberToFloat16(wanted);
  const scale = float16ToNumber(nearest) > wanted ? nearest - 1 : nearest;
  const zero = codeOf(-low * share, inverseOf(float16ToNumber(scale)), 0, highest);
  return { scale, zero };
}

/** Squared error of a block; only known to be too much where it exceeds `enough`. */
function errorOf(values: Float64Array, scheme: QuantScheme, fit: BlockFit, enough: number): number {
  const scale = float16ToNumber(fit.scale);
  const inverse = inverseOf(scale);
  const highest = highestCode(scheme);
  const zero = fit.zero;
  let error = 0;
  for (let i = 0; i < values.length && error <= enough; i++) {
    const value = values[i]!;
    const apart = value - (codeOf(value, inverse, zero, highest) - zero) * scale;
    error += apart * apart;
  }
  return error;
}

/** The code nearest to a weight. */
function codeOf(weight: number, inverse: number, zero: number, highest: number): number {
  // Math.round is several times slower.
  const code = Math.floor(weight * inverse + 0.5) + zero;
  return code < 0 ? 0 : code > highest ? highest : code;
}

/** A block whose scale is 0 has only zeros. */
function inverseOf(scale: number): number {
  return scale === 0 ? 0 : 1 / scale;
}
