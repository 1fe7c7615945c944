import { readFile, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { openModelFolder, readCheckpoint, VARIANTS, type Variant, WEIGHT_FILES } from "../checkpoint/mod.ts";
import {
  blobPath,
  type CachedRepository,
  cachedRepository,
  hasContent,
  listSnapshot,
  lockPath,
  PARTIAL_ENDING,
  prepare,
  readRef,
  snapshotPath,
  writeRef,
} from "./cache.node.ts";
import { fetchFiles, readRemote } from "./download.node.ts";
import { describeRepository, type RemoteModel } from "./hub.ts";
import type { Licence } from "./licence.ts";
import { withLock } from "./lock.node.ts";
import { findModel, licenceIn, type StoredModel } from "./models.node.ts";
import { checkRevision, isModelName, isRepository, type RemoteFile } from "./names.ts";
import { changeRegistry, type ModelEntry, readRegistry } from "./registry.node.ts";
import { type Selection, selectFiles } from "./select.ts";
import type { Store } from "./world.node.ts";

/** Which repository of a hub to add. */
export interface AddRequest {
  readonly repository: string;
  /** Branch, tag or commit; `main` by default. */
  readonly revision?: string | undefined;
  readonly variant?: string | undefined;
  /** The repository's own by default. */
  readonly name?: string | undefined;
}

/** What adding a repository comes to. Nothing has been written. */
export interface AddPlan {
  readonly name: string;
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
  readonly variant: Variant | undefined;
  /** Which weights each part gets. */
  readonly variants: Readonly<Record<string, Variant>>;
  readonly licence: Licence;
  readonly source: string;
  /** The folder in which the model will lie. */
  readonly path: string;
  readonly files: readonly RemoteFile[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes still to fetch. */
  readonly missingBytes: number;
  /** Bytes free on the disk of the cache. */
  readonly freeBytes: number;
}

/** Room that stays free: the system and the list of models need some too. */
const SPARE_BYTES = 100 * 2 ** 20;

/**
 * Finds out what adding a repository takes: asks the hub, reads its small files and looks at what the cache has
 * already. With HF_HUB_OFFLINE all comes from the cache. Throws as `describeRepository` and `selectFiles` do,
 * `option_invalid` for words that cannot be used or weights that cannot lie in one folder, and `disk_full`.
 */
export async function planAdd(store: Store, request: AddRequest): Promise<AddPlan> {
  const { repository, revision = "main", name = repository } = request;
  checkWords(request);
  checkRevision(revision);
  const variant = checkVariant(request.variant);
  const target = cachedRepository(store.settings.cache, repository);
  const source = `${store.settings.endpoint}/${repository}`;
  await checkName(store, name, (entry) => entry.kind === "hub" && entry.repository === repository);
  const model = store.settings.offline
    ? await describeLocally(target, repository, revision)
    : await describeRepository(store, repository, revision);
  const { commit } = model;
  const { files, variants } = await select(store, target, model, variant);
  await checkVariants(target, commit, variants, variant);
  const missing = await missingBytes(target, commit, files);
  const freeBytes = await store.freeBytes(target.folder);
  if (missing > 0) checkRoom(target.folder, missing, freeBytes);
  return {
    name,
    repository,
    revision,
    commit,
    variant,
    variants,
    licence: model.licence,
    source,
    path: snapshotPath(target, commit),
    files,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    missingBytes: missing,
    freeBytes,
  };
}

/**
 * Adds what was planned: fetches what is missing into the hub cache, checks every hash, and keeps the model with
 * its licence and source in the list. It is in the list from the beginning, so that an interrupted one can be
 * gone on with. Throws as `fetchFiles` does, `store_busy`, and what `openModelFolder` throws for a bad model.
 */
export async function addPlanned(store: Store, plan: AddPlan): Promise<StoredModel> {
  const { name, repository, revision, commit, variant, licence, source, files } = plan;
  const target = cachedRepository(store.settings.cache, repository);
  const entry: ModelEntry = {
    kind: "hub",
    ...{ name, licence, source, repository, revision, commit, variant },
    added: store.now().toISOString(),
    files: [...files],
  };
  await withLock(lockPath(target), 0, async () => {
    await register(store, entry);
    await prepare(target, commit);
    await fetchFiles({ store, repository, commit, target }, files);
    await writeRef(target, revision, commit);
  });
  await openModelFolder(plan.path);
  return (await findModel(store, name))!;
}

/**
 * Adds a model's folder, or a file of tensors, that stays where it is. Only headers are read, and nothing in them
 * is run. Throws what `openModelFolder` and `readCheckpoint` throw for what is none, and `option_invalid` for a
 * name that is taken.
 */
export async function addLocal(store: Store, path: string, wanted: string | undefined): Promise<StoredModel> {
  const real = await realpath(path).catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "there is no such file or folder", where: path, hint: "check the name" },
      { cause },
    );
  });
  const isFolder = (await stat(real)).isDirectory();
  if (isFolder) await openModelFolder(real);
  else await readCheckpoint(real);
  const name = wanted ?? basename(real);
  if (!isModelName(name)) {
    throw new KandinskyError("option_invalid", {
      what: "this name cannot be used",
      where: "--name",
      seen: JSON.stringify(name),
      hint: "choose another with --name",
    });
  }
  await checkName(store, name, ({ source }) => source === real);
  const licence = await licenceIn(isFolder ? real : join(real, ".."));
  await register(store, {
    kind: isFolder ? "folder" : "file",
    name,
    licence,
    source: real,
    path: real,
    added: store.now().toISOString(),
  });
  return (await findModel(store, name))!;
}

async function register(store: Store, entry: ModelEntry): Promise<void> {
  await changeRegistry(store.settings.data, (models) => [
    ...models.filter(({ name }) => name !== entry.name),
    entry,
  ]);
}

function checkWords({ repository, name }: AddRequest): void {
  if (!isRepository(repository)) {
    throw new KandinskyError("option_invalid", {
      what: "this is no repository, and there is no such folder or file",
      where: repository,
      wanted: "org/name, such as kandinsky-community/kandinsky-3",
    });
  }
  if (name === undefined || isModelName(name)) return;
  throw new KandinskyError("option_invalid", {
    what: "this name cannot be used",
    where: "--name",
    seen: JSON.stringify(name),
    wanted: "letters, digits, dots and dashes",
  });
}

function checkVariant(variant: string | undefined): Variant | undefined {
  const known = VARIANTS.find((name) => name === variant);
  if (known !== undefined || variant === undefined) return known;
  throw new KandinskyError("option_unknown", {
    what: "unknown name",
    where: "--variant",
    seen: JSON.stringify(variant),
    wanted: VARIANTS.join(", "),
  });
}

/** A name says one source; the same source may be added again, to go on or for another revision. */
async function checkName(store: Store, name: string, isSame: (entry: ModelEntry) => boolean): Promise<void> {
  const other = (await readRegistry(store.settings.data)).find((entry) => entry.name === name);
  if (other === undefined || isSame(other)) return;
  throw new KandinskyError("option_invalid", {
    what: "another model has this name",
    where: name,
    seen: other.source,
    hint: "choose another with --name, or remove that one",
  });
}

/** Offline the cache is all there is: a snapshot, whoever fetched it. */
async function describeLocally(
  target: CachedRepository,
  repository: string,
  revision: string,
): Promise<RemoteModel> {
  const commit = await readRef(target, revision);
  const files = commit === undefined ? [] : await listSnapshot(target, commit);
  if (commit === undefined || files.length === 0) {
    throw new KandinskyError("option_invalid", {
      what: "the model is not in the hub cache, and nothing may be downloaded",
      where: "HF_HUB_OFFLINE",
      seen: `no snapshot of ${repository} at ${revision} in ${target.cache}`,
      hint: "unset HF_HUB_OFFLINE to download it",
    });
  }
  const there = files.flatMap(({ path, size, oid }) =>
    size === undefined || oid === undefined ? [] : [{ path, size, oid }],
  );
  return { repository, commit, licence: await licenceIn(snapshotPath(target, commit)), files: there };
}

/** Weights that the cache has whole are preferred, so that nothing is fetched in a second variant unasked. */
async function select(
  store: Store,
  target: CachedRepository,
  model: RemoteModel,
  variant: Variant | undefined,
): Promise<Selection> {
  const { repository, commit, files } = model;
  const root = snapshotPath(target, commit);
  const readHere = async (file: RemoteFile) =>
    JSON.parse(await readFile(join(root, ...file.path.split("/")), "utf8"));
  if (store.settings.offline) return selectFiles(repository, files, () => variant, readHere);
  const snapshot = await listSnapshot(target, commit);
  const sizeHere = new Map(snapshot.map(({ path, size }) => [path, size]));
  const here = files.filter(({ path, size }) => sizeHere.get(path) === size);
  const before = await selectFiles(repository, here, () => variant, readHere).catch(() => undefined);
  const transfer = { store, repository, commit, target };
  const readThere = async (file: RemoteFile) => {
    const bytes = await readRemote(transfer, file);
    return parseJson(bytes, `${repository}/${file.path}`);
  };
  return selectFiles(repository, files, (part) => variant ?? before?.variants[part], readThere);
}

function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      { what: "cannot read the JSON file", where, wanted: "JSON in UTF-8" },
      { cause },
    );
  }
}

/** In a folder with two sets of weights the first of the loader's order is read: it must be the one meant. */
async function checkVariants(
  target: CachedRepository,
  commit: string,
  variants: Readonly<Record<string, Variant>>,
  wanted: Variant | undefined,
): Promise<void> {
  if (wanted !== undefined && !Object.values(variants).includes(wanted)) {
    throw new KandinskyError("option_invalid", {
      what: "the model has no such weights",
      where: "--variant",
      seen: wanted,
      wanted: [...new Set(Object.values(variants))].join(", "),
      hint: "leave --variant out",
    });
  }
  const there = new Set((await listSnapshot(target, commit)).map(({ path }) => path));
  for (const [part, variant] of Object.entries(variants)) {
    const first = WEIGHT_FILES.find(({ name }) => there.has(`${part}/${name}`));
    if (first === undefined || VARIANTS.indexOf(first.variant) >= VARIANTS.indexOf(variant)) continue;
    throw new KandinskyError("option_invalid", {
      what: "the model is there with other weights, which would be read instead",
      where: "--variant",
      seen: `${part}/${first.name} in ${snapshotPath(target, commit)}`,
      wanted: variant,
      hint: "leave --variant out to use those, or remove the model first with `kandinsky models remove`",
    });
  }
}

async function missingBytes(
  target: CachedRepository,
  commit: string,
  files: readonly RemoteFile[],
): Promise<number> {
  const sizes = await Promise.all(
    files.map(async (file) => {
      if (await hasContent(target, commit, file)) return 0;
      const partial = await stat(blobPath(target, file.oid) + PARTIAL_ENDING).catch(() => undefined);
      // A partial file has holes: what it takes on the disk is what came.
      return Math.max(0, file.size - (partial?.blocks ?? 0) * 512);
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function checkRoom(folder: string, missing: number, free: number): void {
  if (free >= missing + SPARE_BYTES) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  throw new KandinskyError("disk_full", {
    what: "the disk has too little room for the model",
    where: folder,
    seen: `${megabytes(free)} free`,
    wanted: megabytes(missing + SPARE_BYTES),
    hint: "make room, or name a folder on another disk with HF_HOME",
  });
}
