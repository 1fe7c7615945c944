import { float16ToNumber } from "../tensor/mod.ts";
import { packHalves, packPairs } from "./nibbles.ts";
import { type BlockScales, encodeWeights, fitScales, type Grid } from "./quantize.ts";
import type { QuantScheme } from "./scheme.ts";

/**
 * How a rounded weight lies in a packed file: as one run of bytes, slice after slice of its groups, each with scales,
 * zero points and codes. `halves` puts two codes of 4 bits in a byte, from the two halves of a slice, which can
 * be taken apart by masks; `pairs` takes neighbours along a row, as ONNX Runtime's product wants them.
 */
export interface PackedForm {
  readonly scheme: QuantScheme;
  readonly grid: Grid;
  /** Groups of each slice; `halves` needs even numbers. */
  readonly slices: readonly number[];
  readonly codes: "bytes" | "halves" | "pairs";
  readonly scales: "float16" | "float32";
}

/** Bytes [offset, offset + byteLength) of a packed weight. */
export interface Span {
  readonly offset: number;
  readonly byteLength: number;
}

/** Where the pieces of one slice lie. */
export interface SliceSpans {
  readonly scales: Span;
  readonly zeros?: Span;
  readonly codes: Span;
}

/** Scales begin at multiples of this. */
const ALIGNMENT = 4;

/** Where everything lies in a packed weight, and how long it is. */
export function packedSpans(form: PackedForm): {
  readonly slices: readonly SliceSpans[];
  readonly bytes: number;
} {
  let at = 0;
  const take = (byteLength: number): Span => {
    const span = { offset: at, byteLength };
    at += byteLength;
    return span;
  };
  const { scheme, grid } = form;
  const slices = form.slices.map((groups): SliceSpans => {
    at = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
    const blocks = (groups * grid.length * grid.lanes) / scheme.block;
    const scales = take(blocks * (form.scales === "float16" ? 2 : 4));
    const zeros = scheme.symmetric ? {} : { zeros: take(zeroBytes(form, groups)) };
    const codes = groups * grid.length * grid.lanes;
    return { scales, ...zeros, codes: take(form.codes === "bytes" ? codes : codes / 2) };
  });
  return { slices, bytes: at };
}

function zeroBytes({ grid, scheme, codes }: PackedForm, groups: number): number {
  const blocks = grid.length / scheme.block;
  return groups * grid.lanes * (codes === "pairs" ? Math.ceil(blocks / 2) : blocks);
}

/** A weight's packed bytes; scales and zero points are fitted unless they are given. */
export function packWeight(weights: Float32Array, form: PackedForm, given?: BlockScales): Uint8Array {
  const { scheme, grid } = form;
  const packed = new Uint8Array(packedSpans(form).bytes);
  const fitted = given ?? fitScales(weights, grid, scheme);
  const codes = encodeWeights(weights, grid, scheme, fitted);
  const [row, blocks] = [grid.length * grid.lanes, (grid.length / scheme.block) * grid.lanes];
  let first = 0;
  packedSpans(form).slices.forEach((spans, i) => {
    const end = first + form.slices[i]!;
    const scales = fitted.scales.subarray(first * blocks, end * blocks);
    packed.set(bytesOf(widenScales(scales, form.scales)), spans.scales.offset);
    if (spans.zeros) {
      const zeros = fitted.zeros!.subarray(first * blocks, end * blocks);
      packed.set(form.codes === "pairs" ? pairRows(zeros, blocks) : zeros, spans.zeros.offset);
    }
    packed.set(CODES[form.codes](codes.subarray(first * row, end * row)), spans.codes.offset);
    first = end;
  });
  return packed;
}

const CODES: Readonly<Record<PackedForm["codes"], (codes: Uint8Array) => Uint8Array>> = {
  bytes: (codes) => codes,
  halves: packHalves,
  pairs: packPairs,
};

function widenScales(scales: Uint16Array, dtype: PackedForm["scales"]): Uint16Array | Float32Array {
  return dtype === "float16" ? scales : Float32Array.from(scales, float16ToNumber);
}

/** Zero points of 4 bits, two a byte along each row, which a lone one fills up. */
function pairRows(zeros: Uint8Array, blocks: number): Uint8Array {
  const width = Math.ceil(blocks / 2);
  const bytes = new Uint8Array((zeros.length / blocks) * width);
  for (let i = 0; i < zeros.length; i++) {
    const [row, column] = [Math.floor(i / blocks), i % blocks];
    const at = row * width + (column >> 1);
    bytes[at] = bytes[at]! | (zeros[i]! << (4 * (column & 1)));
  }
  return bytes;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
