import { expect, test } from "vitest";
import type { MaskKind } from "./make.ts";
import { holeRatio } from "./mask.ts";
import { masksOf, SQUARE, statistics } from "./test-support.ts";

/*
 * Hole ratios of the published generators: mean, p5, p50, p95. The figures come from a simulation of each in NumPy
 * at 256 pixels (BrushNet 512); null is not known.
 */
const PUBLISHED: readonly (readonly [kind: MaskKind, figures: readonly (number | null)[]])[] = [
  ["lama-irregular", [0.42, 0.08, 0.43, 0.73]],
  ["lama-box", [0.24, 0.07, 0.25, 0.4]],
  ["lama-thin", [0.26, 0.08, 0.27, 0.43]],
  ["lama-medium", [0.29, 0.17, 0.28, 0.44]],
  ["deepfill-strokes", [0.16, 0.04, 0.15, 0.31]],
  ["deepfill", [0.31, 0.22, 0.3, 0.43]],
  ["comodgan", [0.75, 0.4, 0.78, 0.92]],
  ["brushnet", [0.18, 0, 0.18, 0.4]],
  ["kandinsky2", [0.41, null, null, null]],
  ["kandinsky2-polygon", [0.26, 0.03, 0.22, 0.56]],
  ["kandinsky2-frame", [0.35, 0.17, 0.36, 0.52]],
  ["kandinsky2-both", [0.57, 0.25, 0.57, 0.87]],
  ["kandinsky2-box", [0.16, 0.01, 0.13, 0.34]],
];
const NAMES = ["mean", "p5", "p50", "p95"];
const DRAWS = 1000;

test.each(PUBLISHED)(
  "makeMask %s has the published hole ratios within 0.05",
  {
    timeout: 60_000,
  },
  (kind, figures) => {
    const side = kind === "brushnet" ? 512 : SQUARE.width;
    const seen = statistics(
      masksOf(kind, DRAWS, { width: side, height: side }).map(({ mask }) => holeRatio(mask)),
    );
    const differences = figures.map((figure, i) => (figure === null ? 0 : seen[i]! - figure));
    const worst = differences.reduce(
      (at, difference, i) => (Math.abs(difference) > Math.abs(differences[at]!) ? i : at),
      0,
    );
    const said = `${kind}: ${NAMES[worst]} is ${seen[worst]!.toFixed(3)}, published ${figures[worst]}`;
    expect(Math.abs(differences[worst]!), said).toBeLessThanOrEqual(0.05);
  },
);

test.each(["deepfill", "kandinsky2", "lasso"] as const)(
  "makeMask %s has the same ratios at a latent's size, at twice it and in another shape",
  { timeout: 60_000 },
  (kind) => {
    const sizes = [64, 128].map((side) => ({ width: side, height: side }));
    const [small, large] = sizes.map((size) =>
      statistics(masksOf(kind, 400, size).map(({ mask }) => holeRatio(mask))),
    );
    const worst = Math.max(...small!.map((x, i) => Math.abs(x - large![i]!)));
    // The same draws in proportion: only the edges' pixels differ.
    expect(worst, `${small} and ${large}`).toBeLessThan(0.02);
    const wide = masksOf(kind, 100, { width: 96, height: 40 });
    const useful = wide.filter(({ mask }) => holeRatio(mask) > 0 && holeRatio(mask) < 1).length;
    expect(wide.every(({ mask }) => mask.data.length === 96 * 40)).toBe(true);
    expect(useful).toBeGreaterThan(90);
  },
);
