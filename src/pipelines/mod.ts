export type { GenerateEvent, Notice, RunState, Stage } from "./events.ts";
export { type GenerateOptions, Kandinsky3, type LoadOptions } from "./kandinsky3.node.ts";
export { EMBEDDED_MODEL, type ModelInfo } from "./model.node.ts";
export { PACK_FOLDER, packedBytes, removePacked } from "./packing.node.ts";
export { type GenerateRequest, generateRequest, type Job, type PictureJob } from "./request.ts";
