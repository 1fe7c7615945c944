import type { GridMedians } from "../../../src/evaluation/mod.ts";

/** Texts of `kandinsky evaluate`. */
export const evaluateEn = {
  usage: "MODEL [options]",
  model: "folder of a model with a subjects.json, or the name of a stored one",
  out: "folder for pictures, report.json and index.html (default: kandinsky-evaluation); a second run goes on there",
  languages: (names: string) => `with commas between them: ${names}`,
  seeds: "pictures of every subject in every language",
  size: "size in pixels, such as 64x64",
  count: "ask for so many subjects alone, from all over the list (default: all)",
  scenes:
    "scenes of every other kind: backgrounds, counts, relations, grids, held-out combinations; 0 for subjects alone",
  steps: "denoising steps",
  examples: [
    ["kandinsky evaluate models/nano", "everything that nano knows, in English and Russian"],
    ["kandinsky evaluate models/nano --count 12 --scenes 12 --seeds 1", "a first look"],
    ["kandinsky evaluate models/nano --languages en,de,zh --size 128x128 --out at-128", "languages and size"],
  ],
  start: (pictures: string, known: string) => `${pictures} pictures, ${known} of them drawn before`,
  drawing: "drawing",
  judging: "judging",
  groups: {
    subject: "subject",
    background: "background",
    count: "count",
    relation: "relation",
    grid: "grid",
    "held-out background": "held-out background",
    "held-out pair": "held-out pair",
  },
  columns: [
    ...["asked for", "language", "first", "in 5", "first of list", "in 5 of list", "first of 48"],
    ...["background", "other"],
  ] as readonly string[],
  byColour: "the same by 16x16 colour distance:",
  judge: (drawings: string, others: string, own: string) =>
    `the judge: fresh drawings first of 100 ${drawings}, as another subject ${others}; on its own pictures apart: ${own}`,
  grids: (medians: GridMedians) =>
    `grids, medians: period off by ${(100 * medians.periodError).toFixed(1)} %, centres by ${(100 * medians.residual).toFixed(1)} %, tilt ${medians.tilt.toFixed(1)} degrees`,
  all: "all",
  page: (file: string) => `figures and pictures: ${file}`,
  nearest: (pictures: string, fresh: string) =>
    `distance to the nearest training picture, median: ${pictures}; of fresh drawings: ${fresh}`,
} as const;
