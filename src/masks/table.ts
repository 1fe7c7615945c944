import { blob, frame, kandinsky2, kandinsky2Both, kandinsky2Box, kandinsky2Polygon } from "./kandinsky2.ts";
import type { Maker } from "./maker.ts";
import { objectBox, objectShape } from "./object-makers.ts";
import { ellipse, everything, FILL_AREA, lasso, outpaint, roundedBox } from "./shapes.ts";
import {
  deepfillBox,
  lamaBoxes,
  lamaStrokes,
  overflowingBoxes,
  type Range,
  together,
  walks,
} from "./strokes.ts";

/** One way to make a mask. */
export interface MakerEntry {
  readonly make: Maker;
  /** Parts of the picture that the hole may take; masks outside of it are drawn again. */
  readonly holes?: Range;
  /** Makes nothing without alpha maps. */
  readonly needsObjects?: true;
}

/** Hole ratios that the training mixture takes. */
export const USEFUL: Range = [0.02, 0.95];

const lamaTrain = { reference: 256, times: [1, 5], maxAngle: 4, maxLength: 200, maxWidth: 100 } as const;
const deepfill = walks({ strokes: [1, 3], vertices: [4, 11], widths: [[12, 40]], reference: 256 });
const comodgan = walks({ strokes: [0, 19], vertices: [4, 17], widths: [[12, 48]], reference: 256 });

/**
 * Every maker of masks by name. Those of published trainings keep their distributions, empty masks included; lengths
 * given in pixels are scaled to the picture's shorter side. The others are the parts of `MIXTURE`.
 */
export const MAKERS = {
  /** Big-LaMa's training (256 pixels). */
  "lama-irregular": { make: lamaStrokes(lamaTrain) },
  "lama-box": { make: lamaBoxes({ reference: 256, times: [1, 4], side: [30, 150], margin: 10 }) },
  "lama-deepfill": { make: lamaStrokes({ ...lamaTrain, times: [4, 12], maxLength: 80, maxWidth: 40 }) },
  /** LaMa's test sets (256 pixels), strokes. */
  "lama-thin": { make: lamaStrokes({ ...lamaTrain, times: [4, 50], maxLength: 40, maxWidth: 10 }) },
  "lama-medium": { make: lamaStrokes({ ...lamaTrain, times: [4, 5], maxLength: 100, maxWidth: 50 }) },
  "lama-thick": { make: lamaStrokes(lamaTrain) },
  "lama-outpaint": { make: outpaint({ pad: [0.04, 0.25], all: false }) },
  /** DeepFill v2. */
  "deepfill-strokes": { make: deepfill },
  deepfill: { make: together(deepfill, deepfillBox) },
  /** CoModGAN, for the whole range of holes. Very large ones. */
  comodgan: { make: together(overflowingBoxes(10, 0.5), overflowingBoxes(5, 1), comodgan) },
  brushnet: { make: walks({ strokes: [0, 3], vertices: [0, 7], widths: [[128, 128]], reference: 512 }) },
  /** Kandinsky 2, and its parts. */
  kandinsky2: { make: kandinsky2 },
  "kandinsky2-polygon": { make: kandinsky2Polygon },
  "kandinsky2-frame": { make: frame },
  "kandinsky2-both": { make: kandinsky2Both },
  "kandinsky2-box": { make: kandinsky2Box },
  /** The parts of the mixture. */
  polygon: { make: blob({ isSlipped: false }), holes: USEFUL },
  "fine-brush": { make: brush([0.05, 0.16]), holes: USEFUL },
  "broad-brush": { make: brush([0.16, 0.4]), holes: USEFUL },
  object: { make: objectShape, holes: USEFUL, needsObjects: true },
  lasso: { make: lasso, holes: FILL_AREA },
  ellipse: { make: ellipse, holes: FILL_AREA },
  rounded: { make: roundedBox, holes: FILL_AREA },
  "object-box": { make: objectBox, holes: FILL_AREA, needsObjects: true },
  sides: { make: outpaint({ pad: [0.04, 0.3], all: false }), holes: USEFUL },
  frame: { make: outpaint({ pad: [0.04, 0.3], all: true }), holes: USEFUL },
  everything: { make: everything },
} as const satisfies Record<string, MakerEntry>;

export type MakerName = keyof typeof MAKERS;

/** Widths are parts of the shorter side. */
function brush(width: Range): Maker {
  return walks({ strokes: [1, 4], vertices: [4, 12], widths: [width], reference: 1 });
}

/** What training draws from, in shares of 1. Without alpha maps the other rows share what needs them. */
export const MIXTURE: readonly { readonly name: MakerName; readonly weight: number }[] = [
  { name: "polygon", weight: 0.25 },
  { name: "fine-brush", weight: 0.1 },
  { name: "broad-brush", weight: 0.1 },
  { name: "object", weight: 0.25 },
  { name: "lasso", weight: 0.0375 },
  { name: "ellipse", weight: 0.0375 },
  { name: "rounded", weight: 0.0375 },
  { name: "object-box", weight: 0.0375 },
  { name: "sides", weight: 0.05 },
  { name: "frame", weight: 0.05 },
  { name: "everything", weight: 0.05 },
];
