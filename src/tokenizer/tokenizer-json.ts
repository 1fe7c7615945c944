import { z } from "zod";
import { parseCharsmap } from "./charsmap.ts";
import { checked, type TokenizerConfig } from "./config.ts";
import { corrupt, unsupported } from "./failures.ts";
import { type Tokenizer, tokenizer } from "./tokenizer.ts";
import { PIECE_KIND, type Piece, unigram } from "./unigram.ts";

const id = z.int().min(0);
const step = z.looseObject({ type: z.string() });
type Step = z.infer<typeof step>;
const schema = z.object({
  added_tokens: z.array(z.object({ id, content: z.string().min(1) })),
  normalizer: step.nullish(),
  pre_tokenizer: step.nullish(),
  model: z.object({
    type: z.literal("Unigram").optional(),
    unk_id: id,
    vocab: z.array(z.tuple([z.string(), z.number()])),
    byte_fallback: z.literal(false).optional(),
  }),
});

/** Steps that together do what SentencePiece's own normalisation does for T5. */
const KNOWN_STEPS = ["Precompiled", "Strip", "Replace", "WhitespaceSplit", "Metaspace"];

/**
 * The tokenizer of a `tokenizer.json` alone: its pieces and its character map, cut as the SentencePiece model they
 * were made from, so the ids are those of the slow T5Tokenizer even where the fast one differs.
 * @param json parsed contents of the file
 * @param file name for messages
 * @throws KandinskyError `file_corrupt`, or `model_config` where the file describes another kind of tokenizer
 */
export function tokenizerFromJson(
  json: unknown,
  config: TokenizerConfig,
  file = "tokenizer.json",
): Tokenizer {
  const { added_tokens, normalizer, pre_tokenizer, model } = checked(schema, json, file);
  const steps = [normalizer, pre_tokenizer].flatMap((tree) => flatten(tree, file));
  const foreign = steps.find(({ type }) => !KNOWN_STEPS.includes(type));
  if (foreign !== undefined) throw unsupported(file, `step ${foreign.type}`, KNOWN_STEPS.join(", "));
  if (!steps.some(({ type }) => type === "Metaspace"))
    throw unsupported(file, "no step Metaspace", "spaces marked");
  const added = new Map(added_tokens.map(({ id, content }) => [content, id]));
  const endId = added.get(config.endToken);
  if (endId === undefined) throw unsupported(file, `no added token "${config.endToken}"`, "the end token");
  const pieces = model.vocab.map(([text, score], place): Piece => {
    const special = added.get(text) === place ? PIECE_KIND.control : PIECE_KIND.normal;
    return { text, score: Math.fround(score), kind: place === model.unk_id ? PIECE_KIND.unknown : special };
  });
  try {
    const map = steps.find(({ type }) => type === "Precompiled")?.["precompiled_charsmap"];
    return tokenizer({
      model: unigram(pieces),
      normalization: { charsmap: parseCharsmap(base64(typeof map === "string" ? map : "")), verbatim: [] },
      addedTokens: added,
      endId,
    });
  } catch (error) {
    throw error instanceof RangeError ? corrupt(file, error.message, error) : error;
  }
}

/** The steps of a normalizer or pre-tokenizer, sequences opened. */
function flatten(tree: Step | null | undefined, file: string): readonly Step[] {
  if (!tree) return [];
  if (tree.type !== "Sequence") return [tree];
  const inner = tree["normalizers"] ?? tree["pretokenizers"];
  return checked(z.array(step), inner, file).flatMap((part) => flatten(part, file));
}

/** @throws RangeError where `text` is not base64 */
function base64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new RangeError("a character map that is not base64", { cause });
  }
}
