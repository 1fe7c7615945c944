export type { WeightPlace } from "./emitter.ts";
export { encodeOnnx } from "./encode.ts";
