import type { Language, Messages } from "./messages/mod.ts";

/** What a command may use of the world around it. */
export interface Context {
  readonly language: Language;
  readonly text: Messages;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborted by Ctrl-C or a request to end. */
  readonly signal: AbortSignal;
  /** From now on the first Ctrl-C leaves the command all the time it needs to save; a second one ends it at once. */
  readonly takeTime: () => void;
}

/** Writes a line of results. */
export function print(context: Context, line: string): void {
  context.stdout.write(`${line}\n`);
}

const STYLES = { error: 31, note: 33, faint: 2 } as const;

/** The text in a style, where standard error is a terminal that wants colours. */
export function styled(context: Context, style: keyof typeof STYLES, text: string): string {
  const { env, stderr } = context;
  const plain = !stderr.isTTY || (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return plain ? text : `\x1b[${STYLES[style]}m${text}\x1b[0m`;
}
