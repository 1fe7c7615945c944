export { type Adapter, type LowRankChange, loraAdapter, lowRankPass } from "./apply.ts";
export { type LoraLayer, matchLora } from "./lora.ts";
export { type LoraFile, type LoraModule, readLora } from "./lora-file.node.ts";
export { mergedTensors } from "./merge.node.ts";
export type { LoraNaming } from "./names.ts";
export { ATTENTION_LAYERS, type LowRankOptions, moduleOf, newChanges } from "./targets.ts";
export { LORA_FILES, type LoraWeights, type NewLora, writeLora } from "./write.node.ts";
