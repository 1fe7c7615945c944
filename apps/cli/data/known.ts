import { KandinskyError, nearest } from "../../../src/base/mod.ts";

/** Throws `option_unknown` for a word that is none of the names. */
export function known(where: string, seen: string, names: readonly string[]): void {
  if (names.includes(seen)) return;
  const close = nearest(seen, names);
  throw new KandinskyError("option_unknown", {
    what: "unknown name",
    where,
    seen: JSON.stringify(seen),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}
