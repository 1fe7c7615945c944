/** Languages that scenes are captioned in for training, in the order of the model's `subjects.json`. */
export const LANGUAGES = [
  "en",
  "ru",
  "de",
  "fr",
  "es",
  "it",
  "pt",
  "pl",
  "uk",
  "zh",
  "ja",
  "ko",
  "hi",
  "sv",
  "nl",
] as const;

/** Danish: no caption for training is in it, so it tells what a model makes of a language it was never shown. */
export const HELD_OUT_LANGUAGE = "da";

/** A language that captions can be in. */
export type Language = (typeof LANGUAGES)[number] | typeof HELD_OUT_LANGUAGE;

/** Every language that there are words for, the held-out one last. */
export const ALL_LANGUAGES: readonly Language[] = [...LANGUAGES, HELD_OUT_LANGUAGE];
