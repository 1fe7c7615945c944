import { readFile } from "node:fs/promises";
import { KandinskyError } from "../../../src/base/mod.ts";
import type { Context } from "../context.ts";

/**
 * The prompts of a run: the words of the command line as one prompt, or the lines of a file, or those of
 * standard input where it is not the keyboard. Throws `input_missing`, `file_missing`, `option_invalid`.
 */
export async function readPrompts(
  words: readonly string[],
  file: string | undefined,
  { stdin }: Context,
): Promise<string[]> {
  if (words.length > 0 && file !== undefined) {
    throw new KandinskyError("option_invalid", {
      what: "there are two sources of prompts",
      where: "--prompts",
      hint: "give either a prompt or a file of prompts",
    });
  }
  if (words.length > 0) return [words.join(" ")];
  if (file !== undefined) return linesOf(await readPromptFile(file), file);
  if (stdin.isTTY) throw noPrompt("standard input");
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk as Uint8Array);
  return linesOf(Buffer.concat(chunks), "standard input");
}

async function readPromptFile(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot read the file of prompts", where: file, hint: "check the name" },
      { cause },
    );
  }
}

/** Lines that are not blank. Windows shells write UTF-16 with a mark at the start. */
function linesOf(bytes: Uint8Array, where: string): string[] {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : "utf-8";
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      { what: "cannot read the prompts", where, wanted: "text in UTF-8" },
      { cause },
    );
  }
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) throw noPrompt(where);
  return lines;
}

function noPrompt(where: string): KandinskyError {
  return new KandinskyError("input_missing", {
    what: "there is no prompt",
    where,
    hint: "say what to draw: kandinsky generate a red cat",
  });
}
