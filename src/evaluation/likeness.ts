import { aloneSpec, type Background, composeScene, type Masters, type StyleName } from "../scenes/mod.ts";
import type { Classifier } from "./classifier.node.ts";
import type { Ranking } from "./references.ts";

/** Mean features of drawings of every subject in one style. */
export type LikenessBook = ReadonlyMap<string, Float32Array>;

/** What a subject is drawn on and how large, to be compared with: small, middle and large on white, and on colours. */
const DRAWN: readonly (readonly [Background, number])[] = [
  ["white", 0.74],
  ["white", 0.82],
  ["white", 0.9],
  ["red", 0.82],
  ["green", 0.82],
  ["blue", 0.82],
];

/** Draws the subjects in a style and takes the mean of their features; make it once for many pictures. */
export async function likenessBook(
  classifier: Pick<Classifier, "featuresOf">,
  masters: Masters,
  style: StyleName,
  codes: readonly string[],
): Promise<LikenessBook> {
  const book = new Map<string, Float32Array>();
  for (const code of codes) {
    const pictures = DRAWN.map(([background, side]) =>
      composeScene(aloneSpec(code, style, background, side), masters, SIDE),
    );
    const drawn = await classifier.featuresOf(pictures);
    const mean = drawn[0]!.map((_, c) => drawn.reduce((sum, one) => sum + one[c]!, 0) / drawn.length);
    book.set(code, mean);
  }
  return book;
}

const SIDE = 64;

/** The codes by falling cosine between the picture's features and the subject's. */
export function rankByLikeness(
  features: Float32Array,
  book: LikenessBook,
  codes: readonly string[],
): Ranking {
  return codes
    .map((code) => ({ code, likeness: cosine(features, book.get(code)!) }))
    .sort((a, b) => b.likeness - a.likeness);
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
