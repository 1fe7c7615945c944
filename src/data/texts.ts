import { KandinskyError } from "../base/mod.ts";
import type { Draws } from "../random/mod.ts";

/** A description of a picture. */
export interface TextChoice {
  readonly text: string;
  /** Two or three letters of ISO 639, or `und` where nothing says. */
  readonly language: string;
  /** What kind of caption it is, such as `label` or `original`. */
  readonly kind: string;
}

/**
 * What is done about a picture without a caption that has letters in it: leave it out, train it without words, or
 * stop.
 */
export const CAPTION_POLICIES = ["skip", "empty", "error"] as const;

/** One of `CAPTION_POLICIES`. */
export type CaptionPolicy = (typeof CAPTION_POLICIES)[number];

/** Weights by language and by kind; what is not named weighs `other`. A weight of 0 leaves captions out. */
export interface TextWeights {
  readonly languages: Readonly<Record<string, number>>;
  readonly kinds: Readonly<Record<string, number>>;
  readonly other: number;
}

/** Every caption alike. */
export const EVEN_WEIGHTS: TextWeights = { languages: {}, kinds: {}, other: 1 };

/**
 * The captions of a sample. A `.txt` is one caption a line, of the language in its name. A `.json` is text; or has
 * `caption`, `captions` or `text`: a text, a list, or an object by language, of texts or of
 * `{ text, language, kind }`. Empty ones are dropped. Throws `file_corrupt` for JSON that does not parse.
 */
export function parseTexts(
  files: readonly { readonly extension: string; readonly content: string }[],
  where: string,
): TextChoice[] {
  return files
    .flatMap(({ extension, content }) =>
      extension === "json" ? fromJson(content, where) : fromText(extension, content),
    )
    .map((choice) => ({ ...choice, text: choice.text.trim() }))
    .filter(({ text }) => text !== "");
}

/** Language of a caption that nothing is said of. */
const UNKNOWN = "und";

function fromText(extension: string, content: string): TextChoice[] {
  const language = extension === "txt" ? UNKNOWN : extension.slice(0, extension.indexOf("."));
  return content.split(/\r?\n/).map((text) => ({ text, language, kind: "original" }));
}

function fromJson(content: string, where: string): TextChoice[] {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      {
        what: "cannot read the captions",
        where,
        seen: cause instanceof Error ? cause.message : String(cause),
        wanted: "JSON",
      },
      { cause },
    );
  }
  const found = CAPTION_FIELDS.map((name) => fieldOf(json, name)).find((value) => value !== undefined);
  return choicesOf(typeof json === "string" ? json : found, UNKNOWN);
}

const CAPTION_FIELDS = ["captions", "caption", "text"];

function choicesOf(value: unknown, language: string): TextChoice[] {
  if (typeof value === "string") return [{ text: value, language, kind: "original" }];
  if (Array.isArray(value)) return value.flatMap((item) => choicesOf(item, language));
  if (typeof value !== "object" || value === null) return [];
  const text = fieldOf(value, "text");
  if (typeof text !== "string") return Object.entries(value).flatMap(([name, item]) => choicesOf(item, name));
  const said = fieldOf(value, "language") ?? fieldOf(value, "lang");
  const kind = fieldOf(value, "kind");
  return [
    {
      text,
      language: typeof said === "string" ? said : language,
      kind: typeof kind === "string" ? kind : "original",
    },
  ];
}

function fieldOf(json: unknown, name: string): unknown {
  if (typeof json !== "object" || json === null) return undefined;
  return Object.hasOwn(json, name) ? (json as Record<string, unknown>)[name] : undefined;
}

/** A caption by weight: first the language, then the kind, then one of those. Undefined where all weigh 0. */
export function pickText(
  draws: Draws,
  choices: readonly TextChoice[],
  { languages, kinds, other }: TextWeights,
): TextChoice | undefined {
  const language = pickBy(draws, choices, (choice) => choice.language, languages, other);
  const kind = pickBy(draws, language, (choice) => choice.kind, kinds, other);
  return kind.length === 0 ? undefined : draws.pick(kind);
}

/** The choices of one value of a field, the value drawn by its weight and not by how often it occurs. */
function pickBy(
  draws: Draws,
  choices: readonly TextChoice[],
  fieldIn: (choice: TextChoice) => string,
  weights: Readonly<Record<string, number>>,
  other: number,
): readonly TextChoice[] {
  const weightOf = (value: string) => (Object.hasOwn(weights, value) ? weights[value]! : other);
  const values = [...new Set(choices.map(fieldIn))].filter((value) => weightOf(value) > 0);
  if (values.length === 0) return [];
  const chosen = draws.pick(values, weightOf);
  return choices.filter((choice) => fieldIn(choice) === chosen);
}
