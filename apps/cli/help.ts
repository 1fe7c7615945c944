import type { Messages } from "./messages/mod.ts";

/** Example command lines, each under what it does. */
export function examplesOf(examples: readonly (readonly [string, string])[], { help }: Messages): string {
  const lines = examples.flatMap(([line, meaning]) => [`  ${meaning}:`, `    ${line}`]);
  return ["", help.examples, ...lines].join("\n");
}
