import {
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { cacheName, checkRevision, isBlobName, isCommit, type RemoteFile } from "./names.ts";
import { isAbsent, writeWhole } from "./whole.node.ts";

/**
 * A repository's folder in a hub cache, laid out as Python's hub client does: contents in `blobs/` by hash, one
 * folder of relative links for each commit in `snapshots/`, commits of branches and tags in `refs/`.
 */
export interface CachedRepository {
  readonly cache: string;
  readonly folder: string;
}

/** Ends the names of our partial files; Python's client counts them among its own leftovers. */
export const PARTIAL_ENDING = ".kandinsky.incomplete";

export function cachedRepository(cache: string, repository: string): CachedRepository {
  return { cache, folder: join(cache, cacheName(repository)) };
}

export function blobPath({ folder }: CachedRepository, oid: string): string {
  return join(folder, "blobs", oid);
}

export function snapshotPath({ folder }: CachedRepository, commit: string): string {
  return join(folder, "snapshots", commit);
}

export function lockPath({ cache, folder }: CachedRepository): string {
  return join(cache, ".locks", basename(folder), "kandinsky.lock");
}

/** Makes the folders that even an unfinished repository has. */
export async function prepare(repository: CachedRepository, commit: string): Promise<void> {
  await mkdir(join(repository.folder, "blobs"), { recursive: true });
  await mkdir(snapshotPath(repository, commit), { recursive: true });
}

/** The commit that a branch or tag pointed to when it was last asked for, or the revision where it is a commit. */
export async function readRef({ folder }: CachedRepository, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  checkRevision(revision);
  const commit = (await readFile(join(folder, "refs", revision), "utf8").catch(() => "")).trim();
  return isCommit(commit) ? commit : undefined;
}

export async function writeRef(
  { folder }: CachedRepository,
  revision: string,
  commit: string,
): Promise<void> {
  if (!isCommit(revision)) await writeWhole(join(folder, "refs", ...revision.split("/")), commit);
}

/** Commits of which there is a snapshot. */
export async function listSnapshots({ folder }: CachedRepository): Promise<string[]> {
  const names = await readdir(join(folder, "snapshots")).catch(() => []);
  return names.filter(isCommit);
}

/**
 * Whether a file's content is there in full size: as a blob of the repository, one that the cache shares between
 * repositories (newer Python clients), or a plain file of the snapshot (where links are not to be had).
 */
export async function hasContent(
  repository: CachedRepository,
  commit: string,
  file: RemoteFile,
): Promise<boolean> {
  if (await isContent(repository, blobPath(repository, file.oid), file.size)) return true;
  const path = join(snapshotPath(repository, commit), ...file.path.split("/"));
  const about = await lstat(path).catch(() => undefined);
  return about?.isFile() === true && about.size === file.size;
}

async function isContent({ cache }: CachedRepository, path: string, size: number): Promise<boolean> {
  const about = await lstat(path).catch(() => undefined);
  if (about === undefined) return false;
  if (!about.isSymbolicLink()) return about.isFile() && about.size === size;
  const target = await realpath(path).catch(() => undefined);
  if (target === undefined || !isInside(target, join(await realpath(cache), "blobs"))) return false;
  return (await stat(target)).size === size;
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** What systems answer that have no symbolic links, or not for everybody. */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"]);

/** Shows a blob under its name in a snapshot; does nothing where it is shown already. */
export async function linkFile(
  repository: CachedRepository,
  commit: string,
  file: RemoteFile,
): Promise<void> {
  const path = join(snapshotPath(repository, commit), ...file.path.split("/"));
  const blob = blobPath(repository, file.oid);
  if ((await lstat(blob).catch(() => undefined)) === undefined) return;
  await mkdir(dirname(path), { recursive: true });
  const target = relative(dirname(path), blob);
  if ((await readlink(path).catch(() => undefined)) === target) return;
  // Beside the blobs, where no reader of snapshots meets it.
  const temporary = `${blob}.link.kandinsky.incomplete`;
  await rm(temporary, { force: true });
  try {
    await symlink(target, temporary);
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await link(blob, temporary).catch(() => rename(blob, temporary));
  }
  await rename(temporary, path);
  // Where both are hard links to one file already, renaming leaves both.
  await rm(temporary, { force: true });
}

/** A file of a snapshot: its path in the repository, and the blob that it shows where it is a link to one. */
export interface SnapshotFile {
  readonly path: string;
  readonly oid: string | undefined;
  /** Undefined where the link leads nowhere. */
  readonly size: number | undefined;
}

/** The files of a snapshot, without hidden folders: those hold what was made from the model. */
export async function listSnapshot(repository: CachedRepository, commit: string): Promise<SnapshotFile[]> {
  const root = snapshotPath(repository, commit);
  const names = await readdir(root, { recursive: true }).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw error;
  });
  const files: SnapshotFile[] = [];
  for (const name of names.sort()) {
    const path = name.split(sep).join("/");
    if (path.split("/").some((part) => part.startsWith("."))) continue;
    const about = await stat(join(root, name)).catch(() => undefined);
    if (about?.isDirectory()) continue;
    const target = basename(await readlink(join(root, name)).catch(() => ""));
    files.push({ path, oid: isBlobName(target) ? target : undefined, size: about?.size });
  }
  return files;
}
