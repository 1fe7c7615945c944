import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { pid } from "node:process";
import { KandinskyError } from "../base/mod.ts";

/** Writes a small file whole or not at all: under another name, flushed, renamed. Makes its folder. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${pid}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw diskError(path, cause);
  }
}

const FULL = new Set(["ENOSPC", "EDQUOT"]);

/** What the file system refuses, as an error that says what to do. Errors of ours pass as they are. */
export function diskError(path: string, cause: unknown): unknown {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (cause instanceof KandinskyError || code === undefined) return cause;
  if (FULL.has(code)) {
    return new KandinskyError(
      "disk_full",
      {
        what: "the disk is full",
        where: path,
        seen: code,
        hint: "make room, then run the command again: it goes on where it was",
      },
      { cause },
    );
  }
  return new KandinskyError(
    "output_unwritable",
    {
      what: "cannot write into the store",
      where: path,
      seen: code ?? message,
      hint: "check the rights, or name another folder with HF_HOME or KANDINSKY_HOME",
    },
    { cause },
  );
}

/** Whether an error says that a file is not there. */
export function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}
