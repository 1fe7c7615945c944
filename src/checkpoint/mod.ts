export { readCheckpoint } from "./any.node.ts";
export { type BindOptions, bind, type WantedTensor } from "./bind.ts";
export type { QuantizedEntry, TensorEntry } from "./entry.ts";
export { checkPipelineClass } from "./family.ts";
export { type ModelFolder, type ModelParts, openModelFolder, requirePart } from "./folder.node.ts";
export type { SafetensorsHeader } from "./header.ts";
export { type ConfigPart, type FilesPart, openPart, type WeightPart } from "./part.node.ts";
export { storedBytes } from "./quantized.ts";
export { readSafetensorsHeader } from "./safetensors.node.ts";
export { readTorchHeader, type TorchHeader } from "./torch.node.ts";
export type { TorchEntry } from "./torch.ts";
export { readTorchTensor, streamTorchTensor } from "./torch-values.node.ts";
export { readTensor, readTensorAsFloat32, streamFloat32 } from "./values.node.ts";
export { readWeightFile, readWeightMap, VARIANTS, type Variant, WEIGHT_FILES } from "./weights.node.ts";
export {
  type NamedTensor,
  type StreamedTensor,
  writeSafetensors,
  writeSafetensorsStream,
} from "./write.node.ts";
