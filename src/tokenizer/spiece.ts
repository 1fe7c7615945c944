import protobuf from "protobufjs";
import { parseCharsmap } from "./charsmap.ts";
import type { TokenizerConfig } from "./config.ts";
import { corrupt, unsupported } from "./failures.ts";
import { type Tokenizer, tokenizer } from "./tokenizer.ts";
import { PIECE_KIND, type Piece, unigram } from "./unigram.ts";

/**
 * The fields of sentencepiece_model.proto (proto2) that decide how text is cut. `edition` matters: fromJSON's
 * default, proto3, takes an explicit false for an absent field, and the field's default stands.
 */
export const MODEL_PROTO = {
  nested: {
    Piece: {
      edition: "proto2",
      fields: {
        piece: { type: "string", id: 1 },
        score: { type: "float", id: 2 },
        type: { type: "int32", id: 3, options: { default: PIECE_KIND.normal } },
      },
    },
    TrainerSpec: {
      edition: "proto2",
      fields: {
        modelType: { type: "int32", id: 3, options: { default: 1 } },
        treatWhitespaceAsSuffix: { type: "bool", id: 24 },
        byteFallback: { type: "bool", id: 35 },
      },
    },
    NormalizerSpec: {
      edition: "proto2",
      fields: {
        precompiledCharsmap: { type: "bytes", id: 2 },
        addDummyPrefix: { type: "bool", id: 3, options: { default: true } },
        removeExtraWhitespaces: { type: "bool", id: 4, options: { default: true } },
        escapeWhitespaces: { type: "bool", id: 5, options: { default: true } },
      },
    },
    Model: {
      edition: "proto2",
      fields: {
        pieces: { rule: "repeated", type: "Piece", id: 1 },
        trainer: { type: "TrainerSpec", id: 2 },
        normalizer: { type: "NormalizerSpec", id: 3 },
      },
    },
  },
};

interface SentencePieceModel {
  readonly pieces: readonly { readonly piece: string; readonly score: number; readonly type: number }[];
  readonly trainer: Readonly<Record<string, unknown>>;
  readonly normalizer: Readonly<Record<string, unknown>> & { readonly precompiledCharsmap: Uint8Array };
}

/** The settings every T5 vocabulary has; others are refused rather than cut differently from their makers. */
const REQUIRED = [
  ["trainer", "modelType", 1, "model type unigram"],
  ["trainer", "treatWhitespaceAsSuffix", false, "spaces before words"],
  ["trainer", "byteFallback", false, "no byte fallback"],
  ["normalizer", "addDummyPrefix", true, "a leading space added"],
  ["normalizer", "removeExtraWhitespaces", true, "extra spaces removed"],
  ["normalizer", "escapeWhitespaces", true, "spaces escaped"],
] as const;

/**
 * The tokenizer of a `spiece.model`: equal to transformers' slow T5Tokenizer (legacy) over sentencepiece.
 * @param file name for messages
 * @throws KandinskyError `file_corrupt`, or `model_config` where the model is sound but not of T5's kind
 */
export function tokenizerFromSpiece(
  model: Uint8Array,
  config: TokenizerConfig,
  file = "spiece.model",
): Tokenizer {
  const proto = decode(model, file);
  for (const [part, field, wanted, words] of REQUIRED) {
    if (proto[part][field] !== wanted) throw unsupported(file, `${field} ${proto[part][field]}`, words);
  }
  const known: readonly number[] = Object.values(PIECE_KIND);
  const odd = proto.pieces.find(({ type }) => !known.includes(type));
  if (odd !== undefined) throw unsupported(file, `piece "${odd.piece}" of type ${odd.type}`, "types 1 to 5");
  const pieces = proto.pieces.map(({ piece, score, type }) => ({ text: piece, score, kind: type }) as Piece);
  try {
    const vocabulary = unigram(pieces);
    const verbatim = pieces.filter(({ kind }) => kind === PIECE_KIND.userDefined).map(({ text }) => text);
    return tokenizer({
      model: vocabulary,
      normalization: {
        charsmap: parseCharsmap(proto.normalizer.precompiledCharsmap),
        verbatim: verbatim.toSorted((a, b) => b.length - a.length),
      },
      ...addedTokens(vocabulary.ids, config, file),
    });
  } catch (error) {
    throw error instanceof RangeError ? corrupt(file, error.message, error) : error;
  }
}

function decode(bytes: Uint8Array, file: string): SentencePieceModel {
  try {
    const type = protobuf.Root.fromJSON(MODEL_PROTO).lookupType("Model");
    const message = type.decode(bytes) as unknown as Partial<SentencePieceModel>;
    const { pieces, trainer, normalizer } = message;
    if (!pieces?.length || !trainer || !normalizer) {
      throw new RangeError(
        `${pieces?.length ?? 0} pieces, ${trainer ? "" : "no "}trainer, ${normalizer ? "" : "no "}normalizer`,
      );
    }
    return { pieces, trainer, normalizer };
  } catch (error) {
    throw corrupt(file, `no SentencePiece model (${(error as Error).message})`, error);
  }
}

/** Places of the words cut out of a prompt: special pieces, then sentinels behind the pieces, then fixed ids. */
function addedTokens(
  ids: ReadonlyMap<string, number>,
  config: TokenizerConfig,
  file: string,
): { readonly addedTokens: ReadonlyMap<string, number>; readonly endId: number } {
  const endId = config.fixedIds.get(config.endToken) ?? ids.get(config.endToken);
  if (endId === undefined) throw unsupported(file, `no piece "${config.endToken}"`, "the end token");
  const special = [config.endToken, config.unknownToken, config.padToken].filter((word) => ids.has(word));
  const last = ids.size - 1 + config.extraIds;
  return {
    endId,
    addedTokens: new Map([
      ...special.map((word) => [word, ids.get(word)!] as const),
      ...Array.from({ length: config.extraIds }, (_, i) => [`<extra_id_${i}>`, last - i] as const),
      ...config.fixedIds,
    ]),
  };
}
