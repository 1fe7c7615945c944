export { type ClassifierConfig, classifierJson, parseClassifierConfig } from "./classifier/config.ts";
export { classifierGraph, classifierParameters } from "./classifier/model.ts";
export { KANDINSKY3_MOVQ, type MovqConfig, parseMovqConfig } from "./movq/config.ts";
export {
  type MapShape,
  movqDecoderGraph,
  movqEncoderGraph,
  movqParameters,
  movqQuantizerGraph,
} from "./movq/model.ts";
export {
  MOVQ_NAMES,
  type NameRow,
  PROJECTION_NAMES,
  renamed,
  UNET_NAMES,
} from "./names.ts";
export {
  MOVQ_CODEBOOK,
  RELEASED_INDEX,
  RELEASED_SCHEDULER,
  releasedConfig,
} from "./released.ts";
export { FLAN_UL2, parseT5Config, type T5Config } from "./t5/config.ts";
export { relativeBucket, type T5Range, t5Graph, t5Parameters } from "./t5/model.ts";
export { KANDINSKY3_UNET, parseUNetConfig, type UNetConfig, widenUNetJson } from "./unet/config.ts";
export {
  textProjectionGraph,
  type UNetShape,
  unetGraph,
  unetLayerWeights,
  unetParameters,
} from "./unet/model.ts";
