/** Under what terms a model may be used, as its source states them. */
export interface Licence {
  /** "apache-2.0"; "not stated" where the source says nothing. */
  readonly name: string;
  readonly link?: string | undefined;
}

export const UNSTATED: Licence = { name: "not stated" };

/** The licence in the fields of a model card: `license`, or for other ones `license_name` and `license_link`. */
export function licenceOf(card: unknown): Licence {
  const field = (key: string) => {
    const value = (card as Record<string, unknown> | null | undefined)?.[key];
    return clean(Array.isArray(value) ? value.join(", ") : value);
  };
  const [id, name, link] = [field("license"), field("license_name"), field("license_link")];
  const known = id === undefined || id === "other" ? (name ?? id) : id;
  if (known === undefined) return UNSTATED;
  return { name: known, ...(link === undefined ? {} : { link }) };
}

/** The licence that the head of a model card (README.md) states. */
export function licenceOfCard(text: string): Licence {
  const [, head] = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text) ?? [];
  const lines = (head ?? "").matchAll(
    /^(license(?:_name|_link)?):[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|(.*?))[ \t]*\r?$/gm,
  );
  return licenceOf(Object.fromEntries([...lines].map(([, key, a, b, c]) => [key, a ?? b ?? c])));
}

/** One line of printable characters: the text goes to terminals. */
function clean(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const line = value
    .replace(/\p{C}+/gu, " ")
    .trim()
    .slice(0, 200);
  return line === "" ? undefined : line;
}
