import type { Phrase } from "./phrases.ts";

export const PHRASES_RU: readonly Phrase[] = [
  ["cannot draw this size", "такой размер нарисовать нельзя"],
  ["a multiple of {}", "кратное {}"],
  ["the nearest are {} and {}", "ближайшие: {} и {}"],
  ["the smallest is {}", "наименьшее: {}"],
];
