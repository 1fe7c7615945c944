import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import type { TensorEntry } from "./entry.ts";
import { type Boundary, boundaryOf, listFolder, readJson } from "./files.node.ts";
import { readWeights } from "./weights.node.ts";

/** A folder of a model without weights of its own: the tokenizer. */
export interface FilesPart {
  /** Real path of the folder. */
  readonly folder: string;
  /** Real paths of its files by name. */
  readonly files: ReadonlyMap<string, string>;
}

/** A folder with a configuration: the scheduler. */
export interface ConfigPart extends FilesPart {
  /** The parsed configuration, not checked yet. */
  readonly config: unknown;
  /** Path of the configuration file, for messages. */
  readonly configFile: string;
}

/** A folder with a configuration and weights: text encoder, U-Net, MoVQ. */
export interface WeightPart extends ConfigPart {
  /** All tensors, of all shards; nothing but headers was read. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * Opens one part's folder that the user named himself, such as `unet/` of a model.
 * Throws `model_missing`, `file_missing`, `file_corrupt`, `file_escapes`, `tensor_missing`, `tensor_dtype`.
 */
export async function openPart(folder: string): Promise<WeightPart> {
  return openWeightPart(folder, await boundaryOf(folder));
}

export async function openFilesPart(folder: string, boundary: Boundary): Promise<FilesPart> {
  const { folder: real, files } = await listFolder(folder, boundary);
  return { folder: real, files };
}

export async function openConfigPart(
  folder: string,
  boundary: Boundary,
  configName: string,
): Promise<ConfigPart> {
  const { folder: real, files } = await listFolder(folder, boundary);
  return { folder: real, files, ...(await readConfig(real, files, configName)) };
}

export async function openWeightPart(folder: string, boundary: Boundary): Promise<WeightPart> {
  const listing = await listFolder(folder, boundary);
  const config = await readConfig(listing.folder, listing.files, "config.json");
  return { folder: listing.folder, files: listing.files, ...config, tensors: await readWeights(listing) };
}

async function readConfig(folder: string, files: ReadonlyMap<string, string>, name: string) {
  const configFile = join(folder, name);
  const path = files.get(name);
  if (path !== undefined) return { config: await readJson(path, configFile), configFile };
  throw new KandinskyError("file_missing", {
    what: "cannot open this part of a model",
    where: folder,
    seen: `no ${name}`,
    wanted: "a part's folder in the diffusers layout",
    ...(files.has("model_index.json") ? { hint: "this is a whole model: name one of its folders" } : {}),
  });
}
