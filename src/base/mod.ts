export { parseBytes } from "./bytes.ts";
export { ERRORS, type ErrorCode, type ErrorParts, KandinskyError } from "./errors.ts";
export { clamp, floorDiv, product, roundHalfEven } from "./numbers.ts";
export { nearest } from "./suggest.ts";
