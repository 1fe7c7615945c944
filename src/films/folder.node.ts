import { access, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { kill } from "node:process";
import { KandinskyError } from "../base/mod.ts";
import { decodePicture, encodePicture, type Picture, type PictureMetadata, saveFile } from "../image/mod.ts";

/** What a film folder says of itself: enough to go on with it, and to notice another job. */
export interface FilmFile {
  readonly kandinskyFilm: 1;
  readonly operation: string;
  /** Of the model, by which another one is noticed. */
  readonly model: { readonly name: string; readonly fingerprint: string; readonly folder: string };
  readonly loras: readonly { readonly file: string; readonly weight: number; readonly hash: string }[];
  /** The request with every default filled in. */
  readonly settings: unknown;
  /** How the film is written at the end. */
  readonly film: unknown;
}

const NAME = "film.json";

/**
 * Begins a film in a folder, or goes on with the same one where `resume` says so. Throws `output_exists` for a folder
 * that holds something else, another film, or this film begun.
 */
export async function openFolder(folder: string, file: FilmFile, resume: boolean): Promise<void> {
  await make(folder);
  const found = await readFilmFile(folder);
  const names = (await readdir(folder)).filter((name) => !isTemporary(name));
  if (found === undefined && names.length > 0) {
    throw taken(folder, `${names.length} other files, ${names[0]}`, "name a new folder");
  }
  if (found !== undefined && JSON.stringify(found) !== JSON.stringify(file)) {
    throw taken(
      folder,
      differenceOf(found, file),
      "name a new folder, or go on with the film there by --resume",
    );
  }
  if (found !== undefined && !resume) {
    throw taken(folder, "this film, begun", "go on with it by --resume, or name a new folder");
  }
  await sweep(folder);
  await mkdir(join(folder, "frames"), { recursive: true });
  await sweep(join(folder, "frames"));
  if (found !== undefined) return;
  const text = `${JSON.stringify(file, undefined, 1)}\n`;
  await saveFile(join(folder, NAME), new TextEncoder().encode(text), { overwrite: false });
}

/** What a folder says of the film in it. Throws `file_missing` where there is none, `file_corrupt`. */
export async function filmOf(folder: string): Promise<FilmFile> {
  const found = await readFilmFile(folder);
  if (found !== undefined) return found;
  throw new KandinskyError("file_missing", {
    what: "there is no film to go on with",
    where: join(folder, NAME),
    hint: "name the folder of a film that was begun",
  });
}

async function readFilmFile(folder: string): Promise<FilmFile | undefined> {
  const path = join(folder, NAME);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const file = JSON.parse(text) as FilmFile;
    if (file?.kandinskyFilm === 1) return file;
  } catch {
    // The same is said of JSON that is something else.
  }
  throw new KandinskyError("file_corrupt", {
    what: "this file describes no film of this program",
    where: path,
  });
}

/** The pictures of a film folder by kind and number, each a file with its settings. */
export interface FrameStore {
  readonly path: (kind: FrameKind, frame: number) => string;
  readonly has: (kind: FrameKind, frame: number) => Promise<boolean>;
  readonly load: (kind: FrameKind, frame: number) => Promise<Picture>;
  readonly save: (
    kind: FrameKind,
    frame: number,
    picture: Picture,
    metadata: PictureMetadata,
  ) => Promise<string>;
}

/** What the model drew, and what the film shows. */
export type FrameKind = "drawn" | "frames";

export async function frameStore(folder: string): Promise<FrameStore> {
  await mkdir(join(folder, "drawn"), { recursive: true });
  await sweep(join(folder, "drawn"));
  const path = (kind: FrameKind, frame: number) =>
    join(folder, kind, `${String(frame).padStart(6, "0")}.png`);
  return {
    path,
    has: (kind, frame) =>
      access(path(kind, frame)).then(
        () => true,
        () => false,
      ),
    load: async (kind, frame) => {
      const name = path(kind, frame);
      const bytes = await readFile(name).catch((cause: unknown) => {
        throw new KandinskyError(
          "file_missing",
          { what: "a frame of the film is gone", where: name },
          { cause },
        );
      });
      return decodePicture(bytes, name);
    },
    save: async (kind, frame, picture, metadata) =>
      saveFile(path(kind, frame), await encodePicture(picture, "png", metadata), { overwrite: true }),
  };
}

const TEMPORARY = /^\.kandinsky-(\d+)-\d+\.tmp$/;

function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/** Removes what a killed process of this program left half written. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = Number(TEMPORARY.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    await rm(join(folder, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    // A process of somebody else answers that it may not be asked.
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

async function make(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const seen = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    const parts = { what: "cannot make the output folder", where: folder, seen, hint: "name another folder" };
    throw new KandinskyError("output_unwritable", parts, { cause });
  }
}

function taken(where: string, seen: string, hint: string): KandinskyError {
  return new KandinskyError("output_exists", {
    what: "the output folder holds something already",
    where,
    seen,
    hint,
  });
}

/** The first field in which two films differ, in words. */
function differenceOf(found: FilmFile, wanted: FilmFile): string {
  const [a, b] = [flatten(found), flatten(wanted)];
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(name) !== b.get(name)) return `another film: ${name} ${a.get(name) ?? "absent"}`;
  }
  return "another film";
}

function flatten(value: unknown, path = ""): Map<string, string> {
  if (typeof value !== "object" || value === null)
    return new Map([[path, JSON.stringify(value) ?? "absent"]]);
  const parts = Object.entries(value).map(([name, part]) =>
    flatten(part, path === "" ? name : `${path}.${name}`),
  );
  return new Map(parts.flatMap((part) => [...part]));
}
