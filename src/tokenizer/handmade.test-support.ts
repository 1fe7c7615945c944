import protobuf from "protobufjs";
import { MODEL_PROTO } from "./spiece.ts";
import { PIECE_KIND } from "./unigram.ts";

/** Bytes of a small SentencePiece model: no character map, a user-defined and an unused piece. */
export function handmadeModel(trainer: object = {}, normalizer: object = {}): Uint8Array {
  const pieces = [
    ["<pad>", 0, PIECE_KIND.control],
    ["</s>", 0, PIECE_KIND.control],
    ["<unk>", 0, PIECE_KIND.unknown],
    ["\u2581", -2, PIECE_KIND.normal],
    ["a", -3, PIECE_KIND.normal],
    ["b", -3.5, PIECE_KIND.normal],
    ["c", -3.25, PIECE_KIND.normal],
    ["ab", -6.5, PIECE_KIND.normal],
    ["bc", -6.5, PIECE_KIND.normal],
    ["abc", -20, PIECE_KIND.normal],
    ["[ b", 0, PIECE_KIND.userDefined],
    ["ca", 0, PIECE_KIND.userDefined],
    ["aa", -1, PIECE_KIND.unused],
    ["\u2581ж", -9, PIECE_KIND.normal],
  ] as const;
  const type = protobuf.Root.fromJSON(MODEL_PROTO).lookupType("Model");
  return type
    .encode({
      pieces: pieces.map(([piece, score, kind]) => ({ piece, score, type: kind })),
      trainer: { modelType: 1, ...trainer },
      normalizer: { precompiledCharsmap: new Uint8Array(), ...normalizer },
    })
    .finish();
}
