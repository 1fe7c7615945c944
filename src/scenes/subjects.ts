import * as z from "zod";
import { KandinskyError } from "../base/mod.ts";
import { ALL_LANGUAGES, LANGUAGES, type Language } from "./languages.ts";
import { isStyle, type StyleName } from "./styles.ts";

/** Other forms of one name, where its language needs them. */
export interface Forms {
  /** English: of a thing that can be counted. */
  readonly plural?: string | undefined;
  /** Russian, singular. */
  readonly genitive?: string | undefined;
  /** Russian: with the numeral, "два кота"; what follows it also follows three and four. */
  readonly two?: string | undefined;
}

/** A thing that scenes show. Extends the form of a model's `subjects.json`. */
export interface Subject {
  /** Unicode code points in hex, joined by `-`. */
  readonly code: string;
  /** Its name in every language of `ALL_LANGUAGES`. */
  readonly labels: Readonly<Record<Language, string>>;
  /** The style it is asked for in evaluations. */
  readonly style: StyleName;
  /** Never shown in training. */
  readonly heldOut: boolean;
  /** More names. */
  readonly names: Readonly<Partial<Record<Language, readonly string[]>>>;
  /** Forms of labels and names. */
  readonly forms: Readonly<Partial<Record<Language, Readonly<Record<string, Forms>>>>>;
  /** Words that go with it, at most three a language. */
  readonly keywords: Readonly<Partial<Record<Language, readonly string[]>>>;
}

const LANGUAGE = z.enum(ALL_LANGUAGES as [Language, ...Language[]]);

const SCHEMA = z.array(
  z.strictObject({
    code: z.string().regex(/^[0-9A-F]{4,5}(-[0-9A-F]{4,5})*$/, "code points in hex joined by -"),
    labels: z.record(LANGUAGE, z.string().min(1)),
    style: z.custom<StyleName>((word) => typeof word === "string" && isStyle(word), "a style"),
    heldOut: z.boolean().default(false),
    names: z.partialRecord(LANGUAGE, z.array(z.string().min(1))).default({}),
    forms: z
      .partialRecord(
        LANGUAGE,
        z.record(
          z.string(),
          z.strictObject({
            plural: z.string().optional(),
            genitive: z.string().optional(),
            two: z.string().optional(),
          }),
        ),
      )
      .default({}),
    keywords: z.partialRecord(LANGUAGE, z.array(z.string().min(1))).default({}),
  }),
);

/** Checks a parsed list of subjects. Throws `file_corrupt` for another form and for a code given twice. */
export function parseSubjects(json: unknown, where: string): readonly Subject[] {
  const result = SCHEMA.safeParse(json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw listError(where, `${issue?.path.join(".")}: ${issue?.message}`);
  }
  const codes = result.data.map((subject) => subject.code);
  const twice = codes.find((code, i) => codes.indexOf(code) !== i);
  if (twice !== undefined) throw listError(where, `the code ${twice} twice`);
  return result.data;
}

function listError(where: string, seen: string): KandinskyError {
  return new KandinskyError("file_corrupt", {
    what: "cannot read the list of subjects",
    where,
    seen,
    wanted: "a list of { code, labels, style }",
  });
}

/** The label first, then all other names. */
export function namesOf(subject: Subject, language: Language): readonly string[] {
  return [subject.labels[language], ...(subject.names[language] ?? [])];
}

/** The subjects of training in the form of a model's `subjects.json`: without forms, keywords and Danish. */
export function listedSubjects(
  subjects: readonly Subject[],
): { code: string; labels: Record<string, string>; style: StyleName }[] {
  return subjects
    .filter((subject) => !subject.heldOut)
    .map(({ code, labels, style }) => ({
      code,
      labels: Object.fromEntries(LANGUAGES.map((language) => [language, labels[language]])),
      style,
    }));
}
