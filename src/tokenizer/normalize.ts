import { type Charsmap, longestRule } from "./charsmap.ts";

/** The mark that stands for a space inside pieces (U+2581). */
export const SPACE_MARK = "\u2581";

export interface Normalization {
  readonly charsmap: Charsmap;
  /** Pieces that are taken as they stand, longest first (SentencePiece's user-defined symbols). */
  readonly verbatim: readonly string[];
}

export interface Normalized {
  readonly text: string;
  /** For each UTF-16 unit of `text` the place in the source that it came from; -1 for the leading mark. */
  readonly sources: readonly number[];
}

/**
 * SentencePiece's normalisation with its defaults, which every T5 model has: rules of the character map, runs of
 * spaces made one and cut at both ends, spaces marked, one mark put before the text.
 * @param text well-formed UTF-16
 */
export function normalize(text: string, { charsmap, verbatim }: Normalization): Normalized {
  let out = SPACE_MARK;
  const sources = [-1];
  let afterSpace = true;
  for (let index = 0; index < text.length; ) {
    const { end, form } = nextForm(text, index, charsmap, verbatim);
    const kept: string = afterSpace ? form.replace(/^ +/, "") : form;
    out += kept.replaceAll(" ", SPACE_MARK);
    for (let i = 0; i < kept.length; i++) sources.push(index);
    if (kept !== "") afterSpace = kept.endsWith(" ");
    index = end;
  }
  // A mark the user typed counts as a space here too.
  let length = out.length;
  while (length > 0 && out[length - 1] === SPACE_MARK) length--;
  return { text: out.slice(0, length), sources: sources.slice(0, length) };
}

function nextForm(
  text: string,
  index: number,
  charsmap: Charsmap,
  verbatim: readonly string[],
): { readonly end: number; readonly form: string } {
  const symbol = verbatim.find((piece) => text.startsWith(piece, index));
  if (symbol !== undefined) return { end: index + symbol.length, form: symbol };
  const rule = longestRule(charsmap, text, index);
  if (rule !== undefined) return { end: rule.end, form: rule.replacement };
  const form = String.fromCodePoint(text.codePointAt(index)!);
  return { end: index + form.length, form };
}
