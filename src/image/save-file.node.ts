import * as nodeFiles from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pid } from "node:process";
import { KandinskyError, nearest } from "../base/mod.ts";

/** The calls that saving needs, so that tests can hand in a disk that is full. */
export type SaveFileSystem = Pick<typeof nodeFiles, "open" | "link" | "rename" | "rm" | "readdir" | "stat">;

type FileHandle = nodeFiles.FileHandle;

/** Fills an empty file; what it throws is thrown on, and no file is left. */
export type FileWriter = (file: FileHandle) => Promise<void>;

export interface SaveOptions {
  /** What `{name}` in the pattern stands for, besides `{number}`. */
  readonly values?: Readonly<Record<string, string | number | bigint>>;
  /** Whether a file of that name is replaced; without, it is an error. */
  readonly overwrite: boolean;
  readonly files?: SaveFileSystem;
}

/**
 * Writes a file whole or not at all and returns its path. `{seed}` and the like in the pattern become `values`;
 * `{number}` in the file name becomes the next free number of four or more digits, which holds between
 * processes that write into one folder. The contents, bytes or what a function writes, go to a hidden file beside
 * it, reach the disk, and only then take the name. Throws `output_exists`, `output_unwritable`, `disk_full` and, for a pattern with an
 * unknown name, `option_invalid`; nothing stays behind.
 */
export async function saveFile(
  pattern: string,
  contents: Uint8Array | FileWriter,
  options: SaveOptions,
): Promise<string> {
  const { files = nodeFiles } = options;
  const path = fillPattern(pattern, options.values ?? {});
  const write = contents instanceof Uint8Array ? (file: FileHandle) => file.writeFile(contents) : contents;
  const temporary = await guard(path, () => writeTemporary(path, write, files));
  try {
    if (basename(path).includes(NUMBER)) return await takeNextNumber(temporary, path, files);
    await checkTarget(path, options.overwrite, files);
    if (options.overwrite) await guard(path, () => files.rename(temporary, path));
    else await takeName(temporary, path, files);
    return path;
  } finally {
    await files.rm(temporary, { force: true });
  }
}

/** Writes a text file whole or not at all, in the place of one that is there. Throws what `saveFile` throws. */
export async function saveText(path: string, text: string): Promise<void> {
  await saveFile(path, new TextEncoder().encode(text), { overwrite: true });
}

/**
 * Finds out before hours of work whether `saveFile` with this pattern can succeed: throws what it would throw
 * for a missing folder, one that cannot be written, or a name that is taken. Writes nothing that stays.
 */
export async function checkOutput(pattern: string, options: SaveOptions): Promise<void> {
  const { files = nodeFiles } = options;
  const path = fillPattern(pattern, options.values ?? {});
  const write = (file: FileHandle) => file.writeFile(new Uint8Array(1));
  await files.rm(await guard(path, () => writeTemporary(path, write, files)));
  if (!basename(path).includes(NUMBER)) await checkTarget(path, options.overwrite, files);
}

const NUMBER = "{number}";

function fillPattern(pattern: string, values: NonNullable<SaveOptions["values"]>): string {
  return pattern.replace(/\{(\w+)\}/g, (whole, name: string) => {
    if (whole === NUMBER) return whole;
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value !== undefined) return String(value);
    const names = [...Object.keys(values), "number"];
    const close = nearest(name, names);
    throw new KandinskyError("option_invalid", {
      what: "the output pattern has an unknown name",
      where: pattern,
      seen: whole,
      wanted: names.map((known) => `{${known}}`).join(", "),
      ...(close === undefined ? {} : { hint: `did you mean {${close}}?` }),
    });
  });
}

/** Writes and flushes a new hidden file in the folder of `path`; removes it again where that fails. */
async function writeTemporary(path: string, write: FileWriter, files: SaveFileSystem): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    // No part of the wanted name, which may already be as long as the file system allows.
    const temporary = join(dirname(path), `.kandinsky-${pid}-${attempt}.tmp`);
    let opened = false;
    try {
      const file = await files.open(temporary, "wx+");
      opened = true;
      try {
        await write(file);
        await file.sync();
      } finally {
        await file.close();
      }
      return temporary;
    } catch (error) {
      if (opened) await files.rm(temporary, { force: true });
      else if (codeOf(error) === "EEXIST") continue;
      throw error;
    }
  }
}

/** Gives the temporary file the number behind the largest one in the folder, or the next that is free. */
async function takeNextNumber(temporary: string, pattern: string, files: SaveFileSystem): Promise<string> {
  const [head = "", tail = ""] = basename(pattern).split(NUMBER);
  const numbers = (await guard(pattern, () => files.readdir(dirname(pattern))))
    .filter((name) => name.length > head.length + tail.length && name.startsWith(head) && name.endsWith(tail))
    .map((name) => name.slice(head.length, name.length - tail.length))
    .filter((digits) => /^\d{4,15}$/.test(digits))
    .map(Number);
  for (let number = numbers.reduce((most, n) => Math.max(most, n), 0) + 1; ; number++) {
    const path = join(dirname(pattern), head + String(number).padStart(4, "0") + tail);
    try {
      await takeName(temporary, path, files);
      return path;
    } catch (error) {
      if (!(error instanceof KandinskyError && error.code === "output_exists")) throw error;
    }
  }
}

/**
 * Gives the temporary file a name that nobody has, in one step: a link fails where the name exists. File
 * systems without links (exFAT) get an empty file made exclusively and then replaced.
 */
async function takeName(temporary: string, path: string, files: SaveFileSystem): Promise<void> {
  await guard(path, async () => {
    try {
      await files.link(temporary, path);
    } catch (error) {
      if (!NO_LINKS.has(codeOf(error) ?? "")) throw error;
      await (await files.open(path, "wx")).close();
      try {
        await files.rename(temporary, path);
      } catch (failure) {
        await files.rm(path, { force: true });
        throw failure;
      }
    }
  });
}

/** What systems answer where links are unknown; EISDIR is what Node makes of Windows' answer on exFAT. */
const NO_LINKS: ReadonlySet<string> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "EMLINK",
]);

/** Throws where `path` is a folder or a device, or a file that may not be replaced. */
async function checkTarget(path: string, overwrite: boolean, files: SaveFileSystem): Promise<void> {
  const found = await files.stat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw outputError(path, error);
  });
  if (found === undefined) return;
  if (!found.isFile()) {
    throw new KandinskyError("output_unwritable", {
      what: "cannot write the output",
      where: path,
      seen: found.isDirectory() ? "a folder" : "a device",
      wanted: "the name of a file",
      ...(found.isDirectory() ? { hint: `name a file in it: ${join(path, "picture.png")}` } : {}),
    });
  }
  if (!overwrite) throw outputExists(path);
}

/** Runs a file operation for `path`, wording what the system says. */
async function guard<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    // What is no answer of the system comes from the one who wrote the contents.
    if (error instanceof KandinskyError || codeOf(error) === undefined) throw error;
    throw outputError(path, error);
  }
}

interface Wording {
  readonly seen: string;
  readonly hint: string;
}

/** What a system error means for the user who named an output file. */
const WORDING: Readonly<Record<string, (folder: string) => Wording>> = {
  ENOENT: (folder) => ({ seen: `no folder ${folder}`, hint: "make the folder first, or name another" }),
  ENOTDIR: (folder) => ({ seen: `${folder} is not a folder`, hint: "name a file in a folder that exists" }),
  EACCES: (folder) => ({ seen: `no right to write into ${folder}`, hint: "name a file in another folder" }),
  EPERM: (folder) => ({ seen: `no right to write into ${folder}`, hint: "name a file in another folder" }),
  EROFS: (folder) => ({ seen: `${folder} is read-only`, hint: "name a file in another folder" }),
  EISDIR: () => ({ seen: "a folder", hint: "name a file in it" }),
  ENAMETOOLONG: () => ({ seen: "a name longer than the file system allows", hint: "shorten the name" }),
};

const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

function outputError(path: string, error: unknown): KandinskyError {
  const code = codeOf(error) ?? String(error);
  if (code === "EEXIST") return outputExists(path);
  if (FULL.has(code)) {
    return new KandinskyError(
      "disk_full",
      {
        what: "cannot write the output",
        where: path,
        seen: code === "EDQUOT" ? "the disk quota is used up" : "no space left on the disk",
        hint: "free some space or name a file on another disk; nothing was left behind",
      },
      { cause: error },
    );
  }
  const wording = WORDING[code]?.(dirname(path)) ?? { seen: code, hint: "name another file" };
  return new KandinskyError(
    "output_unwritable",
    { what: "cannot write the output", where: path, ...wording },
    { cause: error },
  );
}

function outputExists(path: string): KandinskyError {
  return new KandinskyError("output_exists", {
    what: "the output exists already",
    where: path,
    hint: "name another file, or add --overwrite",
  });
}

function codeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
