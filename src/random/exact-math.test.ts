import { expect, test } from "vitest";
import { exactCosSin, exactLog } from "./exact-math.ts";

test("exactLog equals the engine's logarithm to the last bits", () => {
  let worst = 0;
  for (let i = 1; i <= 20000; i++) {
    for (const x of [i / 20000, 2 ** (-i / 400), 1 - i * 2 ** -40]) {
      const wanted = Math.log(x);
      worst = Math.max(worst, Math.abs(exactLog(x) - wanted) / (Math.abs(wanted) + 0.3));
    }
  }
  expect(worst).toBeLessThan(4e-16);
  expect(exactLog(1)).toBe(0);
});

test("exactCosSin equals the engine's cosine and sine to the last bits", () => {
  let worst = 0;
  for (let i = 0; i < 40000; i++) {
    const turns = i / 40000;
    // Folded to an eighth of a turn first: 2 pi is not a float64, and the engine is given the rounded angle.
    const eighths = Math.round(turns * 4);
    const angle = (turns - eighths / 4) * 2 * Math.PI;
    const folded = [
      [Math.cos(angle), Math.sin(angle)],
      [-Math.sin(angle), Math.cos(angle)],
      [-Math.cos(angle), -Math.sin(angle)],
      [Math.sin(angle), -Math.cos(angle)],
    ][eighths % 4]!;
    const [cos, sin] = exactCosSin(turns);
    worst = Math.max(worst, Math.abs(cos - folded[0]!), Math.abs(sin - folded[1]!));
  }
  expect(worst).toBeLessThan(4e-16);
});
