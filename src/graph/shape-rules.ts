import { KandinskyError } from "../base/mod.ts";
import { formatShape } from "../tensor/mod.ts";
import type { Padding, SequenceLayout, Signature } from "./ops.ts";

/** The shape that two shapes broadcast to, by NumPy's rule. */
export function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => {
    const x = a[i - length + a.length] ?? 1;
    const y = b[i - length + b.length] ?? 1;
    const fits = x === y || x === 1 || y === 1;
    // The words are made only where they are needed: no rule runs as often as this one.
    if (!fits) wanted(fits, "shapes that broadcast", `${formatShape(a)} and ${formatShape(b)}`);
    return x === 1 ? y : x;
  });
}

/** Batch, length and channels of a sequence value. */
export function sequence(
  x: Signature,
  layout: SequenceLayout,
): { batch: number; length: number; channels: number } {
  const [batch, second, third] = rank(x, 3);
  return layout === "tokens"
    ? { batch: batch!, length: second!, channels: third! }
    : { batch: batch!, length: third!, channels: second! };
}

export function convolvedSize(
  [height, width]: readonly [number, number],
  [kh, kw]: readonly [number, number],
  stride: number,
  [top, left, bottom, right]: Padding,
): [number, number] {
  positive(stride, "stride");
  const h = Math.floor((height + top + bottom - kh) / stride) + 1;
  const w = Math.floor((width + left + right - kw) / stride) + 1;
  wanted(h > 0 && w > 0, `a map of at least ${kh}x${kw}`, `${height}x${width}`);
  return [h, w];
}

export function lastAxisAffine(x: Signature, affine: readonly Signature[]): Signature {
  const channels = x.shape[x.shape.length - 1];
  for (const operand of affine) {
    equalTypes(x, operand);
    wanted(operand.shape.join() === `${channels}`, `operands of [${channels}]`, formatShape(operand.shape));
  }
  return x;
}

export function equalTypes(a: Signature, b: Signature): void {
  wanted(a.dtype === b.dtype, "equal element types", `${a.dtype} and ${b.dtype}`);
}

export function axisOf(x: Signature, axis: number): number {
  const size = x.shape[axis];
  wanted(size !== undefined, `an axis of ${formatShape(x.shape)}`, `${axis}`);
  return size!;
}

export function positive(value: number, name: string): void {
  wanted(Number.isInteger(value) && value > 0, `a positive whole ${name}`, `${value}`);
}

export function rank(x: Signature, length: number): readonly number[] {
  wanted(x.shape.length === length, `${length} axes`, formatShape(x.shape));
  return x.shape;
}

export function wanted(holds: boolean, want: string, seen: string): void {
  if (!holds) throw new KandinskyError("graph_invalid", { what: "shapes do not fit", seen, wanted: want });
}
