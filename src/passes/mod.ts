export { chunkAttention } from "./attention.ts";
export { type Pass, runPasses } from "./pass.ts";
export { convolveBeforeResize } from "./resize.ts";
export { removeDeadNodes, type SplitGraph, splitGraph } from "./split.ts";
export { type FoldedGraph, foldWeights, withStoredTypes } from "./weights.ts";
