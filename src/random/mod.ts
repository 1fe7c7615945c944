export { type Draws, drawsOf } from "./draws.ts";
export { foldIn, type Key, keyOf, normal } from "./key.ts";
export { type SequentialGenerator, torchGenerator } from "./torch.ts";
