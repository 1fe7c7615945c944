/** What users of the package see. */
export { type ErrorCode, type ErrorParts, KandinskyError } from "./base/mod.ts";
export { PROFILES, type ProfileName, SAMPLERS, type SamplerName, type Spacing } from "./diffusion/mod.ts";
export {
  type AnimateRequest,
  beginFilm,
  begunFilm,
  type FilmEvent,
  type FilmJob,
  type FilmOutput,
  type FilmPlace,
  type FilmRequest,
  goOnWith,
  runFilm,
} from "./films/mod.ts";
export {
  contactSheet,
  decodePicture,
  encodePicture,
  type Picture,
  type PictureFormat,
  type PictureMetadata,
  readMetadata,
  saveFile,
} from "./image/mod.ts";
export {
  type AlphaMap,
  drawMask,
  holeRatio,
  keepCells,
  MASK_KINDS,
  type MadeMask,
  type Mask,
  type MaskKind,
  type MaskSpec,
  makeMask,
} from "./masks/mod.ts";
export {
  type EditRequest,
  EMBEDDED_MODEL,
  type Estimate,
  type GenerateEvent,
  type GenerateOptions,
  type GenerateRequest,
  inspectModel,
  type Job,
  Kandinsky3,
  type LoadOptions,
  type LoraChoice,
  type LoraInfo,
  type ModelInfo,
  type ModelReport,
  type Notice,
  type OpenFile,
  type Operation,
  type PartReport,
  type PictureJob,
  type PictureRequest,
  type PictureSource,
  packedBytes,
  type RunState,
  removePacked,
  type SizeReport,
  type Stage,
  type StageReport,
  type TensorReport,
  type WorkStage,
} from "./pipelines/mod.ts";
export { foldIn, type Key, keyOf } from "./random/mod.ts";
export type { Device } from "./runtime/mod.ts";
export {
  type FilmFormat,
  type FilmFrame,
  type FilmInfo,
  type FilmOptions,
  inspectFilm,
  readFilm,
  writeFilm,
} from "./video/mod.ts";
