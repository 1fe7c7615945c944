import * as z from "zod";
import { KandinskyError } from "../base/mod.ts";

/** Beside model_index.json of a small model: the subjects that it was taught to draw. */
export const SUBJECTS_FILE = "subjects.json";

/** A subject's name in each language, such as `{ en: "red apple", ru: "красное яблоко" }`. */
export type SubjectNames = Readonly<Record<string, string>>;

const LIST = z.array(z.object({ labels: z.record(z.string(), z.string()) }));

/** The names in a model's list of subjects. Throws `file_corrupt` for another form, naming `where`. */
export function parseVocabulary(text: string, where: string): readonly SubjectNames[] {
  const refuse = (seen: string) =>
    new KandinskyError("file_corrupt", {
      what: "cannot read what this model knows",
      where,
      seen,
      wanted: "a list of { code, labels, style }",
      hint: "without the file every prompt is taken as known",
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw refuse((error as Error).message);
  }
  const result = LIST.safeParse(json);
  if (result.success) return result.data.map(({ labels }) => labels);
  const [issue] = result.error.issues;
  throw refuse(`${issue?.path.join(".")}: ${issue?.message}`);
}

/**
 * Whether a prompt may name one of the subjects, in whichever language. Words are compared by how they begin, so that
 * endings do not matter, and what is written without spaces by two neighbouring characters: it says no only where
 * nothing is alike.
 */
export function mayName(prompt: string, vocabulary: readonly SubjectNames[]): boolean {
  const said = wordsOf(prompt);
  const isSaid = (word: string) =>
    UNSPACED.test(word)
      ? pairsOf(word).some((pair) => said.some((other) => other.includes(pair)))
      : word.length >= FEWEST_LETTERS && said.some((other) => isFormOf(other, word));
  return vocabulary.some((names) => Object.values(names).some((name) => wordsOf(name).some(isSaid)));
}

/** Articles and the like are in every prompt. */
const FEWEST_LETTERS = 3;

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

/** Small letters without accents: the plural of Haus is Häuser. */
function wordsOf(text: string): string[] {
  const plain = text
    .toLowerCase()
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .normalize("NFC");
  return plain.match(/[\p{L}\p{M}ー]+/gu) ?? [];
}

/** Whether both begin alike and one is not much longer. */
function isFormOf(other: string, word: string): boolean {
  const begin = word.slice(0, Math.max(word.length > 4 ? 4 : 3, word.length - LONGEST_ENDING));
  return other.startsWith(begin) && Math.abs(other.length - word.length) <= LONGEST_ENDING;
}

const LONGEST_ENDING = 3;

function pairsOf(word: string): string[] {
  const letters = [...word];
  return letters.length === 1 ? letters : letters.slice(1).map((letter, i) => letters[i]! + letter);
}
