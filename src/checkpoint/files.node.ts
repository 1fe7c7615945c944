import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { KandinskyError } from "../base/mod.ts";

/** Configurations and indexes are small: the index of the largest encoder has 28 kB. */
const MAX_JSON_BYTES = 64 * 2 ** 20;

/** The folder that the files of one model may lie in, and where else its links may lead. */
export interface Boundary {
  /** Real path of the model's folder. */
  readonly root: string;
  /**
   * Where the hub repository whose snapshot the folder is has its contents: hub caches consist of links into its
   * `blobs/`, which with newer Python clients are links into the `blobs/` of the whole cache.
   */
  readonly blobs: readonly string[];
}

/** One listing of a folder. */
export interface Listing {
  /** Real path of the folder. */
  readonly folder: string;
  /** Real paths of the files in it by name; links resolved and checked. */
  readonly files: ReadonlyMap<string, string>;
  /** Names of the folders in it. */
  readonly folders: readonly string[];
}

/** The boundary of a folder that the user named; throws `model_missing` where there is no such folder. */
export async function boundaryOf(folder: string): Promise<Boundary> {
  const about = await stat(folder).catch(() => undefined);
  if (about === undefined || !about.isDirectory()) {
    throw new KandinskyError("model_missing", {
      what: "cannot open the model",
      where: folder,
      seen: about === undefined ? "nothing there" : "a file",
      wanted: "a model folder",
    });
  }
  const root = await realpath(folder);
  return { root, blobs: findBlobs(root) };
}

function findBlobs(root: string): readonly string[] {
  const repository = hubRepositoryOf(root);
  return repository === undefined ? [] : [join(repository, "blobs"), join(dirname(repository), "blobs")];
}

/** `models--org--name` where the path lies in `models--org--name/snapshots/<revision>`. */
function hubRepositoryOf(root: string): string | undefined {
  for (let at = root; at !== dirname(at); at = dirname(at)) {
    const snapshots = dirname(at);
    const repository = dirname(snapshots);
    if (basename(snapshots) === "snapshots" && /^models--./.test(basename(repository))) return repository;
  }
  return undefined;
}

/** What a model is called: `org/name` of a snapshot in a hub cache, else the folder's own name. */
export function modelNameOf(root: string): string {
  const repository = hubRepositoryOf(root);
  if (repository === undefined) return basename(root);
  return basename(repository).slice("models--".length).replace("--", "/");
}

/**
 * Lists a folder of a model once. Throws `file_escapes` for a link that leaves the model's folder (except into
 * the blobs of its own hub repository) and `file_missing` for one that leads nowhere.
 */
export async function listFolder(folder: string, boundary: Boundary): Promise<Listing> {
  const real = await resolveInside(folder, boundary);
  const files = new Map<string, string>();
  const folders: string[] = [];
  for (const item of await readdir(real, { withFileTypes: true })) {
    const path = join(real, item.name);
    const target = item.isSymbolicLink() ? await resolveInside(path, boundary) : path;
    const kind = item.isSymbolicLink() ? await stat(target) : item;
    if (kind.isFile()) files.set(item.name, target);
    else if (kind.isDirectory()) folders.push(item.name);
  }
  return { folder: real, files, folders };
}

async function resolveInside(path: string, boundary: Boundary): Promise<string> {
  const target = await realpath(path).catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot follow a link of the model", where: path, seen: "a link that leads nowhere" },
      { cause },
    );
  });
  const { root, blobs } = boundary;
  if ([root, ...blobs].some((folder) => isInside(target, folder))) return target;
  throw new KandinskyError("file_escapes", {
    what: "a link leaves the model's folder",
    where: path,
    seen: target,
    wanted: `a file in ${[root, ...blobs].join(" or ")}`,
    hint: "copy the file into the model's folder if it belongs there",
  });
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Parses a JSON file of a model; `where` names it in messages. Throws `file_corrupt`. */
export async function readJson(path: string, where: string): Promise<unknown> {
  const what = "cannot read the JSON file";
  const { size } = await stat(path);
  if (size > MAX_JSON_BYTES) {
    throw new KandinskyError("file_corrupt", {
      what,
      where,
      seen: `${size} bytes`,
      wanted: `at most ${MAX_JSON_BYTES}`,
    });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path)));
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      { what, where, seen: cause instanceof Error ? cause.message : String(cause), wanted: "JSON in UTF-8" },
      { cause },
    );
  }
}

/** The fields of a JSON object with any names, `__proto__` too; undefined for anything else. */
export function fieldsOf(json: unknown): ReadonlyMap<string, unknown> | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  return new Map(Object.entries(json));
}
