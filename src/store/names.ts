import { KandinskyError } from "../base/mod.ts";

/** A file of a repository, as the hub lists it. */
export interface RemoteFile {
  /** Path in the repository, with slashes. */
  readonly path: string;
  readonly size: number;
  /** sha256 of the content (64 hex digits, large files) or git's blob hash (40): the name of its blob in a cache. */
  readonly oid: string;
}

/** A repository at the hub: `org/name`; no name that could be anything else in a path or address. */
const REPOSITORY = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/** Whether a word has the form of a repository's name, `org/name`. */
export function isRepository(word: string): boolean {
  return REPOSITORY.test(word) && !/--|\.\./.test(word);
}

/** Whether a word can be the name of a stored model. */
export function isModelName(word: string): boolean {
  return isRepository(word) || (/^[\p{L}\d][\p{L}\d._-]{0,95}$/u.test(word) && !word.includes(".."));
}

/** The folder of a repository in a hub cache. */
export function cacheName(repository: string): string {
  return `models--${repository.replace("/", "--")}`;
}

/** The repository whose folder in a hub cache has this name, where it is one of a model. */
export function repositoryOf(folder: string): string | undefined {
  const [, org, name] = /^models--(.+?)--(.+)$/.exec(folder) ?? [];
  const repository = `${org}/${name}`;
  return isRepository(repository) ? repository : undefined;
}

/** Whether a word is the full name of a commit. */
export function isCommit(word: string): boolean {
  return /^[0-9a-f]{40}$/.test(word);
}

/** Whether a word is a hash under which a blob may lie: nothing else becomes a file name. */
export function isBlobName(word: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(word);
}

/** Throws `option_invalid` for a revision that cannot be a branch, tag or commit. */
export function checkRevision(revision: string): void {
  const isPath = revision.split("/").every((part) => /^[\w][\w.+-]*$/.test(part) && !part.includes(".."));
  if (isPath && revision.length < 200) return;
  throw new KandinskyError("option_invalid", {
    what: "cannot use this value",
    where: "--revision",
    seen: JSON.stringify(revision),
    wanted: "a branch, tag or commit",
  });
}

/** Throws `file_escapes` for a listed path that leads out of the model's folder on any system. */
export function checkPath(path: string, repository: string): void {
  const parts = path.split("/");
  const bad = parts.some((part) => part === "" || part === "." || part === ".." || /[\\\0]/.test(part));
  if (!bad && !/^[A-Za-z]:/.test(path)) return;
  throw new KandinskyError("file_escapes", {
    what: "the repository lists a file outside of its folder",
    where: repository,
    seen: JSON.stringify(path),
    wanted: "plain names of files and folders",
    hint: "do not use this repository",
  });
}
