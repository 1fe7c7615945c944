import type { Language } from "./mod.ts";
import { PHRASES_RU } from "./phrases-ru.ts";
import { FILM_PHRASES_RU } from "./phrases-ru-films.ts";
import { STORE_PHRASES_RU } from "./phrases-ru-store.ts";

/** A text of the library with `{}` for what differs, and the same in another language. */
export type Phrase = readonly [english: string, other: string];

const PHRASES: Readonly<Record<Exclude<Language, "en">, readonly Phrase[]>> = {
  ru: [...PHRASES_RU, ...FILM_PHRASES_RU, ...STORE_PHRASES_RU],
};

/** A part of a library error in the user's language; as it is where nobody translated it. */
export function translate(part: string, language: Language): string {
  if (language === "en") return part;
  for (const [english, other] of PHRASES[language]) {
    const values = patternOf(english).exec(part);
    if (values === null) continue;
    let next = 1;
    return other.replaceAll("{}", () => translate(values[next++] ?? "", language));
  }
  return part;
}

function patternOf(english: string): RegExp {
  const parts = english.split("{}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("([^]*?)")}$`);
}
