import { lstat, readdir, readFile, readlink, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  type CachedRepository,
  cachedRepository,
  listSnapshots,
  lockPath,
  PARTIAL_ENDING,
  snapshotPath,
} from "./cache.node.ts";
import { withLock } from "./lock.node.ts";
import { listModels, type StoredModel } from "./models.node.ts";
import { isBlobName, repositoryOf } from "./names.ts";
import { changeRegistry } from "./registry.node.ts";
import type { Store } from "./world.node.ts";

/** A file that can go. */
export interface Rubbish {
  readonly path: string;
  readonly bytes: number;
  readonly kind: "partial" | "unreferenced";
}

/** What other programs left is theirs until it has not been touched for this long. */
const QUIET_MILLISECONDS = 60 * 60 * 1000;

/**
 * What `collectGarbage` would remove: partial files of downloads that nobody goes on with at the moment, and contents
 * of Kandinsky 3 repositories that no snapshot and no added model refers to. Other repositories of the cache
 * are looked at for partial files of this program only.
 */
export async function findGarbage(store: Store): Promise<Rubbish[]> {
  const { cache } = store.settings;
  const models = await listModels(store);
  const names = (await readdir(cache).catch(() => [])).map(repositoryOf).filter((name) => name !== undefined);
  const found: Rubbish[] = [];
  for (const name of names.sort()) {
    const mine = models.filter(({ hub }) => hub?.repository === name);
    found.push(...(await garbageOf(store, cachedRepository(cache, name!), mine)));
  }
  return found;
}

/** Removes what `findGarbage` found, each repository when no process works on it. Throws `store_busy`. */
export async function collectGarbage(store: Store, rubbish: readonly Rubbish[]): Promise<void> {
  const places = new Set(rubbish.map(({ path }) => join(path, "..", "..")));
  for (const folder of places) {
    const name = repositoryOf(basename(folder))!;
    const place = cachedRepository(store.settings.cache, name);
    await withLock(lockPath(place), 0, async () => {
      // Looked for again under the lock: a download may have begun or ended since.
      const mine = (await listModels(store)).filter(({ hub }) => hub?.repository === name);
      const now = new Set((await garbageOf(store, place, mine)).map(({ path }) => path));
      for (const { path } of rubbish) if (now.has(path)) await rm(path, { force: true });
    });
  }
}

async function garbageOf(
  store: Store,
  place: CachedRepository,
  models: readonly StoredModel[],
): Promise<Rubbish[]> {
  const folder = join(place.folder, "blobs");
  const wanted = new Set(models.flatMap(({ hub }) => (hub?.files ?? []).map(({ oid }) => oid)));
  for (const commit of await listSnapshots(place)) {
    for (const target of await linkTargets(snapshotPath(place, commit))) wanted.add(target);
  }
  const found: Rubbish[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const about = await lstat(path).catch(() => undefined);
    if (about === undefined) continue;
    const isQuiet = store.now().getTime() - about.mtimeMs > QUIET_MILLISECONDS;
    const isOurs = name.endsWith(PARTIAL_ENDING);
    const isTheirs = models.length > 0 && isQuiet && name.endsWith(".incomplete");
    const isLost = models.length > 0 && isQuiet && isBlobName(name) && !wanted.has(name);
    if (!isOurs && !isTheirs && !isLost) continue;
    const bytes = about.blocks === undefined ? about.size : Math.min(about.size, about.blocks * 512);
    found.push({ path, bytes, kind: isLost ? "unreferenced" : "partial" });
  }
  return found;
}

/** What the links of a folder show, by the last word. */
async function linkTargets(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const targets = await Promise.all(names.map((name) => readlink(join(folder, name)).catch(() => "")));
  return targets.map((target) => basename(target));
}

/** What removing a model takes away. */
export interface Removal {
  /** Files and folders that go; none for models in the user's own place. */
  readonly paths: readonly string[];
  /** Bytes that become free. */
  readonly bytes: number;
}

/** What `removeModel` would remove. Nothing goes that another model of the list needs. */
export async function planRemoval(store: Store, model: StoredModel): Promise<Removal> {
  const { hub } = model;
  if (hub === undefined) return { paths: [], bytes: 0 };
  const place = cachedRepository(store.settings.cache, hub.repository);
  const others = (await listModels(store)).filter(
    (other) => other.name !== model.name && other.registered && other.hub?.repository === hub.repository,
  );
  const kept = (await listSnapshots(place)).filter((commit) => commit !== hub.commit);
  if (others.some((other) => other.hub?.commit === hub.commit)) return { paths: [], bytes: 0 };
  if (kept.length === 0) return { paths: [place.folder], bytes: await bytesOf(place.folder) };
  const needed = new Set(others.flatMap((other) => (other.hub?.files ?? []).map(({ oid }) => oid)));
  for (const commit of kept) {
    for (const target of await linkTargets(snapshotPath(place, commit))) needed.add(target);
  }
  const mine = [
    ...(await linkTargets(snapshotPath(place, hub.commit)).catch(() => [])),
    ...(hub.files ?? []).map(({ oid }) => oid),
  ];
  const blobs = [...new Set(mine)].filter((name) => isBlobName(name) && !needed.has(name));
  const files = blobs
    .flatMap((name) => [name, name + PARTIAL_ENDING])
    .map((name) => join(place.folder, "blobs", name));
  const paths = [snapshotPath(place, hub.commit), ...(await refsTo(place, hub.commit)), ...files];
  const sizes = await Promise.all(paths.map(bytesOf));
  return { paths: paths.filter((_, i) => sizes[i]! > 0), bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/**
 * Forgets a model and removes its files from the hub cache; those of models in the user's own place stay.
 * Throws `store_busy`.
 */
export async function removeModel(store: Store, model: StoredModel): Promise<Removal> {
  const forget = () =>
    changeRegistry(store.settings.data, (models) => models.filter(({ name }) => name !== model.name));
  if (model.hub === undefined) {
    await forget();
    return { paths: [], bytes: 0 };
  }
  const place = cachedRepository(store.settings.cache, model.hub.repository);
  return withLock(lockPath(place), 0, async () => {
    const removal = await planRemoval(store, model);
    // Forgotten first: an end in the middle leaves rubbish, and no model that lacks files.
    await forget();
    for (const path of removal.paths) await rm(path, { recursive: true, force: true });
    return removal;
  });
}

/** Files of `refs/` that name a commit: Python's client takes one that leads nowhere for damage. */
async function refsTo({ folder }: CachedRepository, commit: string): Promise<string[]> {
  const names = await readdir(join(folder, "refs"), { recursive: true }).catch(() => []);
  const paths = names.map((name) => join(folder, "refs", name));
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8").catch(() => "")));
  return paths.filter((_, i) => texts[i]!.trim() === commit);
}

/** Bytes on the disk of a file, or of all below a folder; links count nothing but themselves. */
async function bytesOf(path: string): Promise<number> {
  const about = await lstat(path).catch(() => undefined);
  if (about === undefined) return 0;
  if (!about.isDirectory()) return about.size;
  const names = await readdir(path);
  const sizes = await Promise.all(names.map((name) => bytesOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
