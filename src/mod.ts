export { type ErrorCode, KandinskyError } from "./base/mod.ts";
export * from "./pipelines/mod.ts";
