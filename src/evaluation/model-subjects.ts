import * as z from "zod";
import { KandinskyError } from "../base/mod.ts";
import { ALL_LANGUAGES, isStyle, type Language, type StyleName, type Subject } from "../scenes/mod.ts";

const SCHEMA = z
  .array(
    z.object({
      code: z.string().min(1),
      labels: z.record(z.string(), z.string().min(1)),
      style: z.custom<StyleName>((word) => typeof word === "string" && isStyle(word), "a style"),
    }),
  )
  .min(1);

/**
 * The subjects of a model's `subjects.json` with all that evaluations ask for. The list says code, labels and style; forms
 * of names, and labels of the held-out language, come from `known` where the code is there. Throws `file_corrupt`
 * for another form, and `option_invalid` where a subject has no name in one of the languages.
 */
export function modelSubjects(
  json: unknown,
  where: string,
  known: readonly Subject[],
  languages: readonly Language[],
): readonly Subject[] {
  const result = SCHEMA.safeParse(json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new KandinskyError("file_corrupt", {
      what: "cannot read the list of subjects",
      where,
      seen: `${issue?.path.join(".")}: ${issue?.message}`,
      wanted: "a list of { code, labels, style }",
    });
  }
  const byCode = new Map(known.map((subject) => [subject.code, subject]));
  return result.data.map(({ code, labels, style }) => {
    const ours = byCode.get(code);
    const named: Readonly<Record<string, string | undefined>> = { ...ours?.labels, ...labels };
    const nameless = languages.find((language) => named[language] === undefined);
    if (nameless !== undefined) {
      throw new KandinskyError("option_invalid", {
        what: "a subject has no name in this language",
        where: "--languages",
        seen: nameless,
        wanted: Object.keys(named).join(", "),
      });
    }
    return {
      code,
      // Of the others no prompt is made.
      labels: Object.fromEntries(
        ALL_LANGUAGES.map((language) => [language, named[language] ?? code]),
      ) as Record<Language, string>,
      style,
      heldOut: false,
      names: {},
      forms: ours?.forms ?? {},
      keywords: {},
    };
  });
}

/** So many of the subjects, from all over the list. */
export function spreadOver(subjects: readonly Subject[], count: number): readonly Subject[] {
  const taken = Math.min(count, subjects.length);
  return Array.from({ length: taken }, (_, i) => subjects[Math.floor((i * subjects.length) / taken)]!);
}
