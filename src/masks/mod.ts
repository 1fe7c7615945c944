export { drawMask } from "./draw.ts";
export { type CaptionUse, captionFor, MASK_KINDS, type MadeMask, type MaskKind, makeMask } from "./make.ts";
export { holeRatio, type Mask } from "./mask.ts";
export type { AlphaMap, Layer, MaskSpec, Point, Precision, Shape, Size } from "./spec.ts";
export { type MakerName, MIXTURE } from "./table.ts";
