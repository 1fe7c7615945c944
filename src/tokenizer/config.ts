import { z } from "zod";
import { corrupt } from "./failures.ts";

/** Parsed contents of the small JSON files beside the vocabulary; undefined where a file is absent. */
export interface TokenizerFiles {
  /** tokenizer_config.json */
  readonly config?: unknown;
  /** special_tokens_map.json */
  readonly specialTokens?: unknown;
  /** added_tokens.json */
  readonly addedTokens?: unknown;
}

/** What those files say about words that are no pieces of text. */
export interface TokenizerConfig {
  readonly endToken: string;
  readonly unknownToken: string;
  readonly padToken: string;
  /** Number of sentinels `<extra_id_N>`; they follow the pieces, `<extra_id_0>` last. */
  readonly extraIds: number;
  /** Ids that the files fix; they win over the places counted from `extraIds`. */
  readonly fixedIds: ReadonlyMap<string, number>;
}

/** T5Tokenizer's own default. */
const DEFAULT_EXTRA_IDS = 100;
const MOST_EXTRA_IDS = 10_000;

const id = z.int().min(0);
const word = z.union([
  z.string().min(1),
  z.object({ content: z.string().min(1) }).transform(({ content }) => content),
]);
const specialTokens = z.object({
  eos_token: word.nullish(),
  unk_token: word.nullish(),
  pad_token: word.nullish(),
});
const config = specialTokens.extend({
  extra_ids: z.int().min(0).max(MOST_EXTRA_IDS).nullish(),
  added_tokens_decoder: z
    .record(z.string().regex(/^\d+$/), z.object({ content: z.string().min(1) }))
    .nullish(),
});
const addedTokens = z.record(z.string().min(1), id);

/**
 * Reads the files in the order of transformers: special_tokens_map.json and added_tokens.json count where
 * tokenizer_config.json has no `added_tokens_decoder`.
 * @throws KandinskyError `file_corrupt` with the file's name and the field
 */
export function tokenizerConfig(files: TokenizerFiles): TokenizerConfig {
  const own = checked(config, files.config ?? {}, "tokenizer_config.json");
  const decoder = own.added_tokens_decoder ?? undefined;
  const legacyWords = decoder
    ? {}
    : checked(specialTokens, files.specialTokens ?? {}, "special_tokens_map.json");
  const legacyIds = decoder ? {} : checked(addedTokens, files.addedTokens ?? {}, "added_tokens.json");
  return {
    endToken: legacyWords.eos_token ?? own.eos_token ?? "</s>",
    unknownToken: legacyWords.unk_token ?? own.unk_token ?? "<unk>",
    padToken: legacyWords.pad_token ?? own.pad_token ?? "<pad>",
    extraIds: own.extra_ids ?? DEFAULT_EXTRA_IDS,
    fixedIds: new Map([
      ...Object.entries(decoder ?? {}).map(([key, { content }]) => [content, Number(key)] as const),
      ...Object.entries(legacyIds),
    ]),
  };
}

/** `value` as `schema` describes it. @throws KandinskyError `file_corrupt` with the file and the first bad field */
export function checked<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const where = issue.path.length === 0 ? file : `${file}, ${issue.path.join(".")}`;
  throw corrupt(where, issue.message);
}
