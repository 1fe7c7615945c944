import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError, nearest } from "../base/mod.ts";
import { checkPipelineClass, openModelFolder } from "../checkpoint/mod.ts";
import { cachedRepository, listSnapshot, listSnapshots, readRef, snapshotPath } from "./cache.node.ts";
import { type Licence, licenceOfCard, UNSTATED } from "./licence.ts";
import { isRepository, type RemoteFile, repositoryOf } from "./names.ts";
import { type ModelEntry, readRegistry } from "./registry.node.ts";
import { openStore, type Store } from "./world.node.ts";

/** A model that the store knows: one that was added, or one that another program put into the hub cache. */
export interface StoredModel {
  readonly name: string;
  readonly kind: "hub" | "folder" | "file";
  /** Where it lies: its folder, or the file. */
  readonly path: string;
  readonly licence: Licence;
  /** Address or path from which it came. */
  readonly source: string;
  /** Whether it was added, and is not just found in the hub cache. */
  readonly registered: boolean;
  readonly state: "ready" | "incomplete" | "missing";
  /** Bytes of its files that are there. */
  readonly bytes: number;
  /** When it was added, ISO 8601. */
  readonly added?: string;
  /** Of hub models. */
  readonly hub?: HubPlace;
}

/** Which files of which repository. */
export interface HubPlace {
  readonly repository: string;
  readonly revision: string;
  readonly commit: string;
  readonly variant?: string | undefined;
  /** Of models that were added: every file that belongs to them. */
  readonly files?: readonly RemoteFile[];
}

const LIKE_A_PATH = /^[./~\\]|\\|^[A-Za-z]:|\/.*\/|\.\w+$/;

/** What an unregistered model of the cache is taken to be. */
const DEFAULT_REVISION = "main";
/** Released models by the word that people say. */
const KNOWN: Readonly<Record<string, string>> = { "kandinsky-3": "kandinsky-community/kandinsky-3" };

/** Every model of the store, by name: those that were added, then Kandinsky 3 models found in the hub cache. */
export async function listModels(store: Store): Promise<StoredModel[]> {
  const entries = await readRegistry(store.settings.data);
  const added = await Promise.all(entries.map((entry) => describeEntry(store, entry)));
  const repositories = new Set(added.map(({ hub }) => hub?.repository));
  const names = (await readdir(store.settings.cache).catch(() => [])).map(repositoryOf);
  const others = names.filter((name) => name !== undefined && !repositories.has(name)).sort();
  const found = await Promise.all(others.map((name) => describeCached(store, name!)));
  return [...added, ...found.filter((model) => model !== undefined)];
}

/**
 * The model of a name: `org/name`, the name under which it was added, or the last word of either where only one
 * ends so. Throws `option_invalid` where several do.
 */
export async function findModel(store: Store, word: string): Promise<StoredModel | undefined> {
  const models = await listModels(store);
  const exact = models.find(({ name }) => name === word);
  if (exact !== undefined) return exact;
  const ending = models.filter(({ name }) => name.endsWith(`/${word}`));
  if (ending.length < 2) return ending[0];
  throw new KandinskyError("option_invalid", {
    what: "several models have this name",
    where: word,
    seen: ending.map(({ name }) => name).join(", "),
    hint: "give the full name",
  });
}

/** As `findModel`; throws `model_missing`, which says how to add it. */
export async function requireModel(store: Store, word: string): Promise<StoredModel> {
  const model = await findModel(store, word);
  if (model !== undefined) return model;
  const names = (await listModels(store)).map(({ name }) => name);
  const close = nearest(word, names);
  const repository = isRepository(word) ? word : KNOWN[word];
  let hint = "see `kandinsky models list`, or add one with `kandinsky models add`";
  if (repository !== undefined) hint = `get it with \`kandinsky models add ${repository}\``;
  else if (close !== undefined) hint = `did you mean ${close}?`;
  throw new KandinskyError("model_missing", {
    what: "there is no model of this name, and no such folder",
    where: word,
    seen: names.length === 0 ? "an empty store" : names.slice(0, 10).join(", "),
    hint,
  });
}

/**
 * The path of the stored model that a word names; the word itself where it can only be a path, which is left to
 * whoever opens it. Throws `model_missing`, and `file_missing` for a model that is not all there.
 */
export async function resolveModel(store: Store, word: string): Promise<string> {
  if (LIKE_A_PATH.test(word) && (await findModel(store, word)) === undefined) return word;
  const model = await requireModel(store, word);
  if (model.state === "ready") return model.path;
  const isHub = model.hub !== undefined;
  throw new KandinskyError("file_missing", {
    what: isHub ? "the model is not all there" : "the model is not where it was added from",
    where: isHub ? model.name : model.path,
    hint: isHub
      ? `go on with \`kandinsky models add ${model.hub.repository}\``
      : `put it back, or forget it with \`kandinsky models remove ${model.name}\``,
  });
}

/**
 * The path that a word means to a user: one that is there, or that of a stored model of this name. `env` says where the
 * store is, as `openStore` reads it. Throws as `openStore` and `resolveModel` do.
 */
export async function modelPath(
  word: string,
  env: Parameters<typeof openStore>[0],
  world: Parameters<typeof openStore>[1] = {},
): Promise<string> {
  if ((await stat(word).catch(() => undefined)) !== undefined) return word;
  return resolveModel(await openStore(env, world), word);
}

async function describeEntry(store: Store, entry: ModelEntry): Promise<StoredModel> {
  const { name, kind, licence, source, added } = entry;
  const common = { name, kind, licence, source, added, registered: true };
  if (entry.kind === "hub") {
    const { repository, revision, commit, variant, files } = entry;
    const path = snapshotPath(cachedRepository(store.settings.cache, repository), commit);
    const sizes = await Promise.all(files.map((file) => sizeOf(join(path, ...file.path.split("/")))));
    const whole = files.filter(({ size }, i) => sizes[i] === size);
    return {
      ...common,
      path,
      state: whole.length === files.length ? "ready" : "incomplete",
      bytes: whole.reduce((sum, { size }) => sum + size, 0),
      hub: { repository, revision, commit, variant, files },
    };
  }
  const bytes = await sizeOf(entry.path);
  return { ...common, path: entry.path, state: bytes === undefined ? "missing" : "ready", bytes: bytes ?? 0 };
}

/** Bytes of a file, or of the files in a folder and in those directly below it; undefined where nothing is. */
async function sizeOf(path: string, depth = 2): Promise<number | undefined> {
  const about = await stat(path).catch(() => undefined);
  if (about === undefined || !about.isDirectory()) return about?.size;
  if (depth === 0) return 0;
  const names = (await readdir(path)).filter((name) => !name.startsWith("."));
  const sizes = await Promise.all(names.map((name) => sizeOf(join(path, name), depth - 1)));
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
}

/** A Kandinsky 3 model in the cache that nobody added; undefined for all else that lies there. */
async function describeCached(store: Store, repository: string): Promise<StoredModel | undefined> {
  const place = cachedRepository(store.settings.cache, repository);
  const commits = await listSnapshots(place);
  const named = await readRef(place, DEFAULT_REVISION);
  const commit = named !== undefined && commits.includes(named) ? named : commits[0];
  if (commit === undefined) return undefined;
  const path = snapshotPath(place, commit);
  if (!(await isKandinsky(path))) return undefined;
  const files = await listSnapshot(place, commit);
  const isWhole = await openModelFolder(path).then(
    ({ parts }) => PARTS.every((part) => Object.hasOwn(parts, part)),
    () => false,
  );
  return {
    name: repository,
    kind: "hub",
    path,
    licence: await licenceIn(path),
    source: `${store.settings.endpoint}/${repository}`,
    registered: false,
    state: isWhole ? "ready" : "incomplete",
    bytes: files.reduce((sum, { size }) => sum + (size ?? 0), 0),
    hub: { repository, revision: commit === named ? DEFAULT_REVISION : commit, commit },
  };
}

const PARTS = ["text_encoder", "unet", "movq", "tokenizer", "scheduler"];

async function isKandinsky(folder: string): Promise<boolean> {
  try {
    const index = JSON.parse(await readFile(join(folder, "model_index.json"), "utf8")) as Record<
      string,
      unknown
    > | null;
    checkPipelineClass(index?.["_class_name"], folder);
    return true;
  } catch {
    return false;
  }
}

/** The licence that a folder's model card states. */
export async function licenceIn(folder: string): Promise<Licence> {
  const card = await readFile(join(folder, "README.md"), "utf8").catch(() => "");
  return card === "" ? UNSTATED : licenceOfCard(card);
}
