export { type Adapter, loraAdapter } from "./apply.ts";
export { type LoraLayer, matchLora } from "./lora.ts";
export { type LoraFile, type LoraModule, readLora } from "./lora-file.node.ts";
export { mergedTensors } from "./merge.node.ts";
export type { LoraNaming } from "./names.ts";
