import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import type { TensorEntry } from "./entry.ts";
import { checkPipelineClass, lonePartError } from "./family.ts";
import {
  type Boundary,
  boundaryOf,
  fieldsOf,
  type Listing,
  listFolder,
  modelNameOf,
  readJson,
} from "./files.node.ts";
import {
  type ConfigPart,
  type FilesPart,
  openConfigPart,
  openFilesPart,
  openWeightPart,
  type WeightPart,
} from "./part.node.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";

/** A model in the diffusers layout; only listings, small JSON files and headers were read. */
export interface ModelFolder {
  /** What the model is called: `org/name` in a hub cache, else the folder's name. */
  readonly name: string;
  /** Real path of the folder. */
  readonly root: string;
  /** model_index.json. */
  readonly index: ReadonlyMap<string, unknown>;
  /** The parts whose folders are there. */
  readonly parts: ModelParts;
  /** The learned null embedding of the native profile, where the folder has one. */
  readonly nullEmbedding?: TensorEntry;
  /** Every path at which a null embedding was looked for. */
  readonly nullEmbeddingPlaces: readonly string[];
}

export interface ModelParts {
  readonly text_encoder?: WeightPart;
  readonly unet?: WeightPart;
  readonly movq?: WeightPart;
  readonly tokenizer?: FilesPart;
  readonly scheduler?: ConfigPart;
}

const OPENERS: {
  readonly [P in keyof ModelParts]-?: (folder: string, boundary: Boundary) => Promise<ModelParts[P]>;
} = {
  text_encoder: openWeightPart,
  unet: openWeightPart,
  movq: openWeightPart,
  tokenizer: openFilesPart,
  scheduler: (folder, boundary) => openConfigPart(folder, boundary, "scheduler_config.json"),
};

const NULL_EMBEDDING_FILE = "null_embedding.safetensors";
const NULL_EMBEDDING_NAME = "null_embedding";

/**
 * Opens a model's folder in the diffusers layout, or a snapshot of it in a hub cache.
 * Throws `model_missing` (no such folder, or no model in it), `model_family` (a model of another kind),
 * `file_escapes`, `file_missing`, `file_corrupt`, `tensor_missing` or `tensor_dtype`.
 */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const boundary = await boundaryOf(folder);
  const listing = await listFolder(boundary.root, boundary);
  const index = await readIndex(listing, folder);
  const parts: Record<string, unknown> = {};
  for (const [name, open] of Object.entries(OPENERS)) {
    if (listing.folders.includes(name)) parts[name] = await open(join(listing.folder, name), boundary);
  }
  const found: ModelParts = parts;
  return {
    name: modelNameOf(listing.folder),
    root: listing.folder,
    index,
    parts: found,
    ...(await findNullEmbedding(listing, boundary, found)),
  };
}

/** A part that the caller cannot do without; throws `file_missing` where the model has no folder of it. */
export function requirePart<P extends keyof ModelParts>(
  model: ModelFolder,
  name: P,
): NonNullable<ModelParts[P]> {
  const part = model.parts[name];
  if (part !== undefined) return part;
  throw new KandinskyError("file_missing", {
    what: "the model is incomplete",
    where: join(model.root, name),
    seen: `only ${Object.keys(model.parts).join(", ") || "model_index.json"}`,
    wanted: `the folder ${name}/`,
    hint: "download the missing part",
  });
}

async function readIndex(listing: Listing, folder: string): Promise<ReadonlyMap<string, unknown>> {
  const name = "model_index.json";
  const path = listing.files.get(name);
  if (path === undefined) throw await noIndex(listing, folder);
  const where = join(folder, name);
  const index = fieldsOf(await readJson(path, where)) ?? new Map<string, unknown>();
  checkPipelineClass(index.get("_class_name"), where);
  return index;
}

async function noIndex(listing: Listing, folder: string): Promise<KandinskyError> {
  const config = listing.files.get("config.json");
  if (config !== undefined) {
    return lonePartError(fieldsOf(await readJson(config, join(folder, "config.json"))) ?? new Map(), folder);
  }
  const names = [...listing.folders.map((name) => `${name}/`), ...listing.files.keys()];
  return new KandinskyError("model_missing", {
    what: "there is no model in this folder",
    where: folder,
    seen: names.length === 0 ? "an empty folder" : names.slice(0, 10).join(", "),
    wanted: "model_index.json",
  });
}

async function findNullEmbedding(listing: Listing, boundary: Boundary, parts: ModelParts) {
  const beside = listing.folders.includes("native")
    ? await openFilesPart(join(listing.folder, "native"), boundary)
    : undefined;
  const places = [
    { path: join(listing.folder, NULL_EMBEDDING_FILE), files: listing.files },
    { path: join(listing.folder, "native", NULL_EMBEDDING_FILE), files: beside?.files },
    { path: join(listing.folder, "unet", NULL_EMBEDDING_FILE), files: parts.unet?.files },
  ];
  const nullEmbeddingPlaces = places.map(({ path }) => path);
  for (const { path, files } of places) {
    const file = files?.get(NULL_EMBEDDING_FILE);
    if (file === undefined) continue;
    const nullEmbedding = (await readSafetensorsHeader(file, path)).entries.get(NULL_EMBEDDING_NAME);
    if (nullEmbedding !== undefined) return { nullEmbedding, nullEmbeddingPlaces };
    throw new KandinskyError("tensor_missing", {
      what: "cannot load the null embedding",
      where: path,
      wanted: `a tensor "${NULL_EMBEDDING_NAME}"`,
    });
  }
  return { nullEmbeddingPlaces };
}
