export { type TokenizerConfig, type TokenizerFiles, tokenizerConfig } from "./config.ts";
export { loadTokenizer } from "./load.node.ts";
export { tokenizerFromSpiece } from "./spiece.ts";
export type { Encoding, Tokenizer } from "./tokenizer.ts";
export { tokenizerFromJson } from "./tokenizer-json.ts";
