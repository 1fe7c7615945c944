import { constants } from "node:fs";
import { open, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { openModelFolder, readCheckpoint } from "../checkpoint/mod.ts";
import { addPlanned, planAdd } from "./add.node.ts";
import { blobPath, cachedRepository, listSnapshot, lockPath, snapshotPath } from "./cache.node.ts";
import { isBlobFile } from "./hash.node.ts";
import { withLock } from "./lock.node.ts";
import type { HubPlace, StoredModel } from "./models.node.ts";
import type { RemoteFile } from "./names.ts";
import { stopped } from "./requests.ts";
import type { Store } from "./world.node.ts";

/** A file of a hub model that is not as it should be. */
export interface Damage {
  readonly path: string;
  readonly kind: "missing" | "size" | "hash";
}

/** What checking a model found. */
export interface Verification {
  readonly files: number;
  readonly bytes: number;
  readonly damages: readonly Damage[];
  /** Why the model does not open although its files are as they should be: one is missing that nobody listed. */
  readonly problem?: KandinskyError;
}

/**
 * Reads every byte of a hub model and compares hashes. Of models in the user's own place no hashes are known:
 * their headers are checked, and what is wrong is thrown as `openModelFolder` and `readCheckpoint` do.
 */
export async function verifyModel(store: Store, model: StoredModel): Promise<Verification> {
  const { hub } = model;
  if (hub === undefined) {
    await (model.kind === "folder" ? openModelFolder(model.path) : readCheckpoint(model.path));
    return { files: 0, bytes: 0, damages: [] };
  }
  const files = hub.files ?? (await filesHere(store, hub));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const damages: Damage[] = [];
  for (const file of files) {
    const path = join(placeOf(store, hub), ...file.path.split("/"));
    const kind = await examine(store, path, file, (bytes) => {
      done += bytes;
      store.onEvent({ type: "check", done, total });
    });
    if (kind !== undefined) damages.push({ path: file.path, kind });
  }
  const result = { files: files.length, bytes: total, damages };
  if (damages.length > 0) return result;
  try {
    await openModelFolder(model.path);
    return result;
  } catch (problem) {
    if (problem instanceof KandinskyError) return { ...result, problem };
    throw problem;
  }
}

/**
 * Takes away the files that `verifyModel` found damaged and fetches them and what else is missing again, at the
 * same commit. Throws as `planAdd` and `addPlanned` do; nothing is taken away before the hub has answered.
 */
export async function repairModel(
  store: Store,
  model: StoredModel,
  damages: readonly Damage[],
): Promise<StoredModel> {
  const hub = model.hub!;
  const request = { repository: hub.repository, variant: hub.variant, name: model.name };
  const plan = await planAdd(store, { ...request, revision: hub.commit });
  const place = cachedRepository(store.settings.cache, hub.repository);
  const listed = new Map([...(hub.files ?? []), ...plan.files].map((file) => [file.path, file]));
  await withLock(lockPath(place), 0, async () => {
    for (const { path, kind } of damages) {
      await rm(join(placeOf(store, hub), ...path.split("/")), { force: true });
      const file = listed.get(path);
      // Where only the name is missing, the content may be there.
      if (file !== undefined && kind !== "missing") await rm(blobPath(place, file.oid), { force: true });
    }
  });
  return addPlanned(store, { ...plan, revision: hub.revision });
}

function placeOf(store: Store, { repository, commit }: HubPlace): string {
  return snapshotPath(cachedRepository(store.settings.cache, repository), commit);
}

/** The files of a snapshot that another program fetched, with the hashes that its links name. */
async function filesHere(store: Store, { repository, commit }: HubPlace): Promise<RemoteFile[]> {
  const files = await listSnapshot(cachedRepository(store.settings.cache, repository), commit);
  return files.flatMap(({ path, oid, size }) => (oid === undefined ? [] : [{ path, oid, size: size ?? 0 }]));
}

async function examine(
  store: Store,
  path: string,
  { oid, size }: RemoteFile,
  onRead: (bytes: number) => void,
): Promise<Damage["kind"] | undefined> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return "missing";
  const handle = await open(real, constants.O_RDONLY);
  try {
    if ((await handle.stat()).size !== size) return "size";
    return (await isBlobFile(handle, oid, size, onRead, store.signal)) ? undefined : "hash";
  } catch (error) {
    throw store.signal.aborted ? stopped(error) : error;
  } finally {
    await handle.close();
  }
}
