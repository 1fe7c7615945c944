export { type BudgetItem, chooseWithin } from "./budget.ts";
export {
  parseQuantization,
  QUANTIZATION_KEY,
  quantizationMetadata,
  SCALES_SUFFIX,
  type StoredForm,
  ZEROS_SUFFIX,
} from "./metadata.ts";
export { packHalves, packPairs, unpackPairs } from "./nibbles.ts";
export { fromRows, gridOf, hasOrder, type RowOrder, toRows } from "./order.ts";
export { type PackedForm, packedSpans, packWeight, type SliceSpans, type Span } from "./packed.ts";
export {
  type BlockScales,
  dequantize,
  encodeWeights,
  fitScales,
  fitsGrid,
  type Grid,
  type Quantized,
  quantize,
} from "./quantize.ts";
export { highestCode, middleCode, type QuantScheme, quantizedBytes, SCHEMES } from "./scheme.ts";
