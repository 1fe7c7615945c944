const FACTORS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const DECIMAL: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/**
 * Bytes of a text such as "8G" or "8GiB" (8 times 2^30), "8GB" (8 times 10^9) or "500M"; undefined for anything else,
 * a number without a unit included.
 */
export function parseBytes(text: string): number | undefined {
  const [, number, unit, suffix = ""] = /^(\d+(?:\.\d+)?) ?([KMGT])(B|iB)?$/i.exec(text.trim()) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  const factors = suffix.toLowerCase() === "b" ? DECIMAL : FACTORS;
  return Math.floor(Number(number) * factors[unit.toUpperCase()]!);
}
