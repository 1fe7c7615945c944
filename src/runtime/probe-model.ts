/** The ONNX file of `y = x + x` for one float32: the smallest work that shows whether a device runs. */
export const PROBE_MODEL: Uint8Array = Uint8Array.from(
  atob("CAo6OAoOCgF4CgF4EgF5IgNBZGQSBHRpbnlaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgIQFQ=="),
  (character) => character.charCodeAt(0),
);
