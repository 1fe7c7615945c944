import { readFile } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { type PictureMetadata, readMetadata } from "../image/mod.ts";
import { filmFormatOf } from "./format.ts";
import { gifComments } from "./gif.ts";
import { openInput, unreadable } from "./read-film.node.ts";

/** What our text in a film begins with. */
const PREFIX = "kandinsky:";

/** The settings as one text of ASCII characters; others are escaped as JSON allows. */
export function settingsText({ json }: PictureMetadata): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return PREFIX + JSON.stringify(json).replace(/[\u007f-\uffff]/g, escaped);
}

/**
 * The settings that `writeFilm` wrote into a film. Throws `file_missing` and `file_corrupt` as `readFilm`, and
 * `input_missing` for a film that holds none.
 */
export async function readFilmSettings(path: string): Promise<unknown> {
  const format = filmFormatOf(path);
  if (format === "webp") return readMetadata(await readFile(path).catch(missing(path)), path).json;
  const comments =
    format === "gif" ? gifComments(await readFile(path).catch(missing(path))) : await commentOf(path);
  const text = comments.find((comment) => comment.startsWith(PREFIX))?.slice(PREFIX.length);
  if (text === undefined) {
    throw new KandinskyError("input_missing", {
      what: "the film holds no settings",
      where: path,
      hint: "editors remove them: give the film as it was made, a frame, or its folder",
    });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, "settings that are not JSON", cause);
  }
}

async function commentOf(path: string): Promise<string[]> {
  const input = await openInput(path);
  try {
    const { comment } = await input.getMetadataTags();
    return comment === undefined ? [] : [comment];
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    input.dispose();
  }
}

function missing(where: string) {
  return (cause: unknown): never => {
    const parts = { what: "cannot read the film", where, hint: "check the name" };
    throw new KandinskyError("file_missing", parts, { cause });
  };
}
