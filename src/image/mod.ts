export { areaMeans, meansTensor } from "./area-means.ts";
export {
  decodePicture,
  encodePicture,
  encodePixels,
  MAX_PIXELS,
  type ReadPicture,
  readPicture,
  resizePicture,
} from "./codec.ts";
export {
  cropMask,
  featherMask,
  growMask,
  holeBounds,
  invertMask,
  isHole,
  type Rect,
  resizeMask,
  type SoftMask,
} from "./mask.ts";
export { metadataExif, type PictureFormat, readMetadata } from "./metadata.ts";
export { formatParameters, type PictureMetadata } from "./parameters.ts";
export { cropPicture, matchColors, padPicture, pastePicture } from "./paste.ts";
export {
  checkPicture,
  type Picture,
  pictureFromTensor,
  type Rounding,
  tensorFromPicture,
} from "./picture.ts";
export { fitPreviewMatrix, latentPreview, type PreviewMatrix } from "./preview.ts";
export { resizeBicubic } from "./resample.ts";
export { checkOutput, type FileWriter, type SaveFileSystem, saveFile, saveText } from "./save-file.node.ts";
export { contactSheet } from "./sheet.ts";
