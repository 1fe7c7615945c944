export { decodePicture, encodePicture, encodePixels, resizePicture } from "./codec.ts";
export { type PictureFormat, readMetadata } from "./metadata.ts";
export { formatParameters, type PictureMetadata } from "./parameters.ts";
export { checkPicture, type Picture, pictureFromTensor, type Rounding } from "./picture.ts";
export { fitPreviewMatrix, latentPreview, type PreviewMatrix } from "./preview.ts";
export { checkOutput, type FileWriter, type SaveFileSystem, saveFile } from "./save-file.node.ts";
export { contactSheet } from "./sheet.ts";
