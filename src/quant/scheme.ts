/** How weights are rounded: to `2 ** bits` levels, with one scale for each `block` of them along the reduction axis. */
export interface QuantScheme {
  readonly bits: 4 | 8;
  readonly block: 32 | 64 | 128;
  /** Whether zero has the middle code; otherwise every block has a zero point of its own. */
  readonly symmetric: boolean;
}

/** Codes run from 0 to this. */
export function highestCode({ bits }: QuantScheme): number {
  return 2 ** bits - 1;
}

/** The code of zero where a block has no zero point. */
export function middleCode({ bits }: Pick<QuantScheme, "bits">): number {
  return 2 ** (bits - 1);
}

/** Bytes that `count` weights take: codes, a float16 scale a block, and a byte a block for zero points. */
export function quantizedBytes({ bits, block, symmetric }: QuantScheme, count: number): number {
  return (count * bits) / 8 + (count / block) * (symmetric ? 2 : 3);
}

/** How weights are rounded where only a number of bits is asked for. */
export const SCHEMES: Readonly<Record<"int8" | "int4", QuantScheme>> = {
  int8: { bits: 8, block: 32, symmetric: true },
  int4: { bits: 4, block: 32, symmetric: true },
};
