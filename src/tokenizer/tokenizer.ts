import { KandinskyError } from "../base/mod.ts";
import { type Normalization, normalize } from "./normalize.ts";
import { segment, type Unigram } from "./unigram.ts";

/** What a prompt becomes. */
export interface Encoding {
  /** Token ids, the end token last, at most `maxLength` of them; not padded. */
  readonly ids: readonly number[];
  /** Number of tokens with the end token and without the cut. */
  readonly fullLength: number;
  /** Characters of the prompt (as a reader counts them: graphemes) that the model has no piece for, in order. */
  readonly unknown: readonly string[];
  /** Characters of the prompt, white space not counted. */
  readonly characters: number;
}

export interface Tokenizer {
  /** One more than the highest id. */
  readonly vocabularySize: number;
  /** @throws KandinskyError `option_invalid` unless `maxLength` is a positive whole number */
  encode(text: string, maxLength: number): Encoding;
}

export interface TokenizerParts {
  readonly model: Unigram;
  readonly normalization: Normalization;
  /** Ids of the words that are cut out of a prompt before anything else: `</s>`, `<extra_id_0>`. */
  readonly addedTokens: ReadonlyMap<string, number>;
  readonly endId: number;
}

/**
 * T5's tokenizer as Kandinsky 3 was released with (transformers' slow T5Tokenizer, legacy): added tokens split
 * the prompt, every stretch between them is normalised and segmented alone, so each gets its own leading mark.
 */
export function tokenizer(parts: TokenizerParts): Tokenizer {
  const { model, addedTokens, endId } = parts;
  const addedPattern = anyOf([...addedTokens.keys()]);
  const graphemes = new Intl.Segmenter();
  return {
    vocabularySize: [...addedTokens.values()].reduce((size, id) => Math.max(size, id + 1), model.size),
    encode(text, maxLength) {
      if (!Number.isInteger(maxLength) || maxLength < 1) {
        const facts = { where: "maxLength", seen: `${maxLength}`, wanted: "a positive whole number" };
        throw new KandinskyError("option_invalid", { what: "cannot cut a prompt", ...facts });
      }
      const wellFormed = text.replace(/\p{Surrogate}/gu, "\uFFFD");
      const { ids, unknownAt } = tokens(wellFormed, parts, addedPattern);
      const cut = ids.length < maxLength ? ids : ids.slice(0, maxLength - 1);
      return {
        ids: withEnd(cut, endId),
        fullLength: withEnd(ids, endId).length,
        ...countCharacters(wellFormed, unknownAt, graphemes),
      };
    },
  };
}

function tokens(
  text: string,
  { model, normalization, addedTokens }: TokenizerParts,
  addedPattern: RegExp,
): { readonly ids: readonly number[]; readonly unknownAt: ReadonlySet<number> } {
  const ids: number[] = [];
  const unknownAt = new Set<number>();
  let offset = 0;
  for (const part of text.split(addedPattern)) {
    const added = addedTokens.get(part);
    if (added !== undefined) {
      ids.push(added);
    } else {
      const normalized = normalize(part, normalization);
      for (const { id, start, end } of segment(model, normalized.text)) {
        ids.push(id);
        if (id !== model.unknownId) continue;
        for (const source of normalized.sources.slice(start, end)) {
          if (source >= 0) unknownAt.add(offset + source);
        }
      }
    }
    offset += part.length;
  }
  return { ids, unknownAt };
}

/** A prompt that already ends in the end token gets no second one, as in T5Tokenizer. */
function withEnd(ids: readonly number[], endId: number): readonly number[] {
  return ids.at(-1) === endId ? ids : [...ids, endId];
}

/** A pattern that `split` keeps in its result; longer words first, so that none hides behind its beginning. */
function anyOf(words: readonly string[]): RegExp {
  const escaped = words
    .toSorted((a, b) => b.length - a.length)
    .map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`(${escaped.join("|")})`);
}

/** Runs of visible text; limited because Intl.Segmenter slows down with the square of its input. */
const VISIBLE = /\S{1,500}/gu;

function countCharacters(
  text: string,
  unknownAt: ReadonlySet<number>,
  graphemes: Intl.Segmenter,
): { readonly unknown: readonly string[]; readonly characters: number } {
  const unknown: string[] = [];
  let characters = 0;
  for (const { 0: run, index: offset } of text.matchAll(VISIBLE)) {
    for (const { segment: grapheme, index } of graphemes.segment(run)) {
      characters++;
      const places = Array.from({ length: grapheme.length }, (_, i) => offset + index + i);
      if (places.some((place) => unknownAt.has(place))) unknown.push(grapheme);
    }
  }
  return { unknown, characters };
}
