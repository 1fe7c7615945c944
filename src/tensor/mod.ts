export { cast, widenBfloat16, widenFloat16 } from "./cast.ts";
export { ARRAY_OF, type ArrayOf, type DType, ITEM_SIZE } from "./dtype.ts";
export { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "./half.ts";
export { concatRows, float32, formatShape, row, stridesOf, type Tensor, tensor, zeros } from "./tensor.ts";
export { transposed } from "./transpose.ts";
