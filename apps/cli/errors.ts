import { KandinskyError } from "../../src/base/mod.ts";
import type { PictureRequest } from "../../src/mod.ts";
import { type Context, styled } from "./context.ts";
import { translate } from "./messages/phrases.ts";

/** Exit codes by whose fault an error is. */
const EXIT_CODES = { user: 2, environment: 3, internal: 1, cancelled: 130 } as const;

/** The fields of any member of a union. */
type FieldOf<R> = R extends unknown ? keyof R : never;

/** How the command line calls the fields of a request. */
const FLAGS: Readonly<Record<FieldOf<PictureRequest>, string>> = {
  operation: "operation",
  image: "PICTURE",
  strength: "--strength",
  mask: "--mask",
  invert: "--invert",
  grow: "--grow",
  feather: "--feather",
  matchColors: "--no-match-colors",
  region: "--region",
  padding: "--padding",
  strict: "--strict",
  left: "--left",
  right: "--right",
  top: "--top",
  bottom: "--bottom",
  ratio: "--ratio",
  overlap: "--overlap",
  join: "--join",
  wrap: "--wrap",
  by: "--by",
  strengthAs: "--strength-as",
  prompt: "PROMPT",
  negative: "--negative",
  width: "--size",
  height: "--size",
  count: "--count",
  seed: "--seed",
  steps: "--steps",
  guidance: "--guidance",
  guidanceRescale: "--guidance-rescale",
  guidanceInterval: "--guidance-interval",
  sampler: "--sampler",
  spacing: "--spacing",
  profile: "--profile",
  threshold: "--threshold",
  clip: "--clip",
  rng: "--rng",
  batchText: "--batch-text",
  mix: "mix",
};

/** Tells an error on standard error and returns the exit code. */
export function reportError(context: Context, error: unknown): number {
  const { stderr, text, env } = context;
  const title = styled(context, "error", text.errors.error);
  if (!(error instanceof KandinskyError)) {
    stderr.write(`${title}: ${error instanceof Error ? error.stack : String(error)}\n`);
    stderr.write(`${text.errors.internal}\n`);
    return EXIT_CODES.internal;
  }
  // A wish is no mistake.
  const opening = error.fault === "cancelled" ? "" : `${title}: `;
  stderr.write(`${opening}${wordError(context, error)}\n`);
  if ((env["KANDINSKY_DEBUG"] ?? "") !== "") stderr.write(`${traceOf(error)}\n`);
  else if (error.fault === "internal") {
    stderr.write(`${text.errors.internal} (${text.errors.debugHint})\n`);
  }
  return EXIT_CODES[error.fault];
}

/** The parts of an error in the user's language: one line, and a second one with what to do. */
export function wordError({ text, language }: Context, error: KandinskyError): string {
  const { what, where, seen, wanted, hint } = error.parts;
  const said = (part: string) => translate(part, language);
  const facts = [
    ...(seen === undefined ? [] : [`${text.errors.seen} ${said(seen)}`]),
    ...(wanted === undefined ? [] : [`${text.errors.wanted} ${said(wanted)}`]),
  ];
  const place =
    where === undefined ? [] : [Object.hasOwn(FLAGS, where) ? FLAGS[where as "seed"] : said(where)];
  const line = [said(what), ...place, ...(facts.length === 0 ? [] : [facts.join(", ")])].join(": ");
  return hint === undefined ? line : `${line}\n  ${said(hint)}`;
}

function traceOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${traceOf(error.cause)}` : "";
  return `${error.stack}${cause}`;
}
