/*
 * Logarithm, sine and cosine in plain IEEE arithmetic. The language lets every engine choose its own Math.log and
 * Math.cos, and builds do differ in the last bit; sums, products, quotients and roots are the same everywhere.
 */

const HALF_PI = Math.PI / 2;

/** Natural logarithm of x in (0, 1], within 3e-16 of the size of the result plus 1e-16. */
export function exactLog(x: number): number {
  let mantissa = x;
  let exponent = 0;
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent--;
  }
  // log m = 2 artanh((m - 1) / (m + 1)); |s| <= 0.172, so the first term left out is below 1e-18.
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let series = 0;
  for (let odd = 23; odd >= 1; odd -= 2) series = series * s2 + 1 / odd;
  return exponent * Math.LN2 + 2 * s * series;
}

/** Cosine and sine of `turns` full turns, turns in [0, 1), within 4e-16. */
export function exactCosSin(turns: number): readonly [cos: number, sin: number] {
  const quarters = turns * 4;
  const quadrant = Math.floor(quarters + 0.5);
  // Exact: both numbers are multiples of the same power of two, and the angle lies within an eighth of a turn.
  const angle = (quarters - quadrant) * HALF_PI;
  const square = angle * angle;
  let sin = 1;
  for (let k = 18; k >= 2; k -= 2) sin = 1 - (sin * square) / (k * (k + 1));
  let cos = 1;
  for (let k = 19; k >= 1; k -= 2) cos = 1 - (cos * square) / (k * (k + 1));
  sin *= angle;
  return QUADRANTS[quadrant % 4]!(cos, sin);
}

const QUADRANTS: readonly ((cos: number, sin: number) => readonly [number, number])[] = [
  (cos, sin) => [cos, sin],
  (cos, sin) => [-sin, cos],
  (cos, sin) => [-cos, -sin],
  (cos, sin) => [sin, -cos],
];
