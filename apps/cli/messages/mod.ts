import { en } from "./en.ts";
import { ru } from "./ru.ts";

/** The shape of the English texts with any words: a language that lacks one does not compile. */
type Words<T> = T extends string
  ? string
  : T extends readonly (readonly [string, string])[]
    ? readonly (readonly [string, string])[]
    : T extends (...values: infer A) => string
      ? (...values: A) => string
      : { readonly [K in keyof T]: Words<T[K]> };

export type Messages = Words<typeof en>;

export const MESSAGES = { en, ru } as const satisfies Record<string, Messages>;

export type Language = keyof typeof MESSAGES;

/** What the user asked for, or else what the system's locale says; English for any other. */
export function languageOf(
  wanted: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Language {
  if (wanted !== undefined && Object.hasOwn(MESSAGES, wanted)) return wanted as Language;
  const locale = env["LC_ALL"] || env["LC_MESSAGES"] || env["LANG"] || "";
  const code = locale.slice(0, 2).toLowerCase();
  return Object.hasOwn(MESSAGES, code) ? (code as Language) : "en";
}
