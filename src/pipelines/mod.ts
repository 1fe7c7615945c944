export {
  type AdaptedUNet,
  type LoraChoice,
  type LoraInfo,
  openUNet,
  withLoras,
  writeMerged,
} from "./adapt.node.ts";
export { type CalibrateOptions, calibrate, type LayerError } from "./calibrate.node.ts";
export {
  type Conversion,
  type ConvertedFile,
  convertCheckpoints,
} from "./convert.node.ts";
export { type StageReport, stageCosts, type WorkSize, type WorkStage } from "./costs.node.ts";
export { contextOf, type DenoisingSettings, denoiserOfNetwork, evaluatorOf } from "./denoise.node.ts";
export { EMBEDDED_MODEL, embeddedModelFor, embeddedModelNamed } from "./embedded.node.ts";
export type { Estimate } from "./estimate.node.ts";
export type { GenerateEvent, Notice, RunState, Stage } from "./events.ts";
export { type OpenFile, openLocalFile } from "./inputs.node.ts";
export {
  inspectModel,
  type ModelReport,
  type PartReport,
  type SizeReport,
  type TensorReport,
} from "./inspect.node.ts";
export { type BaseJob, type Job, type JobOf, jobSchema, type KnownFile, type PictureJob } from "./job.ts";
export { type GenerateOptions, Kandinsky3, type LoadOptions } from "./kandinsky3.node.ts";
export {
  bindMovq,
  bindTextEncoder,
  bindUNet,
  type ModelInfo,
  type ModelPart,
  type OpenedModel,
  openModel,
  PREVIEW_FILE,
  readNullEmbedding,
} from "./model.node.ts";
export { MovqRunner } from "./movq-runner.node.ts";
export {
  type BoundPart,
  entryOf,
  PACK_FOLDER,
  PackStore,
  packedBytes,
  packedPaths,
  removePacked,
} from "./packing.node.ts";
export { passesFor } from "./passes.node.ts";
export type { Form, PartName, Plan, PlannedStage, Precision } from "./plan.ts";
export type { JobPlan, JobStage } from "./plan-job.node.ts";
export { type LayerReport, type MeasuredErrors, planWithin, reportOf } from "./precision-plan.ts";
export { foldPart, loadFolded, loadWithCasts, type Workshop } from "./program.node.ts";
export {
  type PrecisionPlan,
  plannedBytes,
  type QuantizedPart,
  type QuantizeOptions,
  quantizable,
  quantizeModel,
  uniformPlan,
  WEIGHT_PARTS,
  type WeightPartName,
  type WeightPrecision,
} from "./quantize.node.ts";
export {
  type EditRequest,
  type ExtendRequest,
  editRequest,
  extendRequest,
  type GenerateRequest,
  generateRequest,
  type InpaintRequest,
  inpaintRequest,
  type MaskSource,
  maskSource,
  type Operation,
  type PanoramaRequest,
  type PictureRequest,
  type PictureSource,
  panoramaRequest,
  pictureSource,
  REQUESTS,
  SAMPLING,
  SUBJECT,
  type UpscaleRequest,
  upscaleRequest,
} from "./request.ts";
export { ResidentPrograms } from "./resident.node.ts";
export { checkSide, inpaintingCanvas, type ModelDefaults, resolveRequest } from "./resolve.ts";
export { maskedLatent } from "./scene.node.ts";
export { encodeText } from "./t5-runner.node.ts";
export { tellHole, withoutHole } from "./tell-hole.ts";
export {
  type Conditioning,
  MAX_TOKENS,
  planText,
  projectionInput,
  type TextPlan,
  unetMasks,
} from "./text.ts";
export { removeTexts, TextCache, textCacheSize } from "./text-cache.node.ts";
export { type Layout, networkOfTiles, type Tile, wholeLayout } from "./tiles.ts";
export { type PreparedUNet, type UNetInputs, UNetRunner } from "./unet-runner.node.ts";
export { SUBJECTS_FILE, type SubjectNames } from "./vocabulary.ts";
