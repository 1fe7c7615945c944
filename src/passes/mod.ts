export { absorbProjections } from "./absorb-projections.ts";
export { chunkAttention } from "./attention.ts";
export { channelsLast } from "./channels-last.ts";
export { foldConstants } from "./constants.ts";
export { convolutionProducts } from "./convolution-products.ts";
export { blockedLayout } from "./layout.ts";
export { feedParameters } from "./parameters.ts";
export { type Pass, runPasses } from "./pass.ts";
export { carriedName, cutGraph } from "./pieces.ts";
export { recompute } from "./recompute.ts";
export {
  type RoundedGraph,
  type RoundedPiece,
  type RoundedWeight,
  roundConvolutions,
  roundLinears,
  type SchemeOf,
} from "./rounding.ts";
export { type ShadowedGraph, shadowLayers } from "./shadows.ts";
export { removeDeadNodes, type SplitGraph, splitGraph } from "./split.ts";
export { stripeMaps } from "./stripes.ts";
export { joinTables } from "./tables.ts";
export { joinViews } from "./views.ts";
export { type FoldedGraph, foldWeights, keepNarrow, withStoredTypes } from "./weights.ts";
