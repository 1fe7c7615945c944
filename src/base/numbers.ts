/** Python's `//` for integers: rounds towards minus infinity. */
export function floorDiv(a: number, b: number): number {
  return Math.floor(a / b);
}

/** Rounds halves to the even neighbour, as NumPy and Python's `round` do. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest < 0.5) return down;
  if (rest > 0.5) return down + 1;
  return down % 2 === 0 ? down : down + 1;
}

export function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}

/** Product of a list; 1 for an empty one. */
export function product(values: readonly number[]): number {
  let result = 1;
  for (const value of values) result *= value;
  return result;
}
