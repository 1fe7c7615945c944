import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import type { TensorEntry } from "./entry.ts";
import { fieldsOf, type Listing, readJson } from "./files.node.ts";
import { joinQuantized } from "./quantized.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";

/** The names under which diffusers and transformers save a part's weights. */
const STEMS = ["diffusion_pytorch_model", "model"];
/** In order of preference; "plain" is without a word for it in the name. */
export const VARIANTS = ["plain", "fp16", "bf16"] as const;

/** Which of several sets of weights that lie in one folder. */
export type Variant = (typeof VARIANTS)[number];

/**
 * The files that can hold a part's weights, in order of preference: an index before a single file. Shard names
 * are never made up, so both shard naming styles read alike.
 */
export const WEIGHT_FILES = VARIANTS.flatMap((variant) => {
  const word = variant === "plain" ? "" : `.${variant}`;
  return [
    ...STEMS.map((stem) => ({ name: `${stem}.safetensors.index${word}.json`, variant, indexed: true })),
    ...STEMS.map((stem) => ({ name: `${stem}${word}.safetensors`, variant, indexed: false })),
  ];
});

/**
 * The tensors of a part's folder: of its index file and the shards named there, or of its one safetensors
 * file; without a variant first, then fp16, then bf16. Types may differ from tensor to tensor.
 * Throws `file_missing`, `tensor_missing`, `file_corrupt`.
 */
export async function readWeights(listing: Listing): Promise<ReadonlyMap<string, TensorEntry>> {
  const found = WEIGHT_FILES.find(({ name }) => listing.files.has(name));
  if (found === undefined) throw noWeights(listing);
  if (found.indexed) return readIndexed(listing, found.name, readSafetensorsEntries);
  const where = join(listing.folder, found.name);
  return readWeightFile(listing.files.get(found.name)!, where);
}

/**
 * The weights of one safetensors file, rounded ones put together.
 * Throws as `readSafetensorsHeader` and `joinQuantized` do.
 */
export async function readWeightFile(
  file: string,
  where: string = file,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const { entries, metadata } = await readSafetensorsHeader(file, where);
  return joinQuantized(entries, metadata, where);
}

async function readSafetensorsEntries(file: string, where: string): Promise<Iterable<TensorEntry>> {
  return (await readWeightFile(file, where)).values();
}

/**
 * The tensors that an index places in the shards beside it. Throws `file_missing`, `tensor_missing`,
 * `file_corrupt`, `file_escapes`, and what `readEntries` throws of a shard.
 */
export async function readIndexed<T extends TensorEntry>(
  listing: Listing,
  index: string,
  readEntries: (file: string, where: string) => Promise<Iterable<T>>,
): Promise<ReadonlyMap<string, T>> {
  const where = join(listing.folder, index);
  const shardOf = readWeightMap(await readJson(listing.files.get(index)!, where), where);
  const tensors = new Map<string, T>();
  for (const shard of new Set(shardOf.values())) {
    const file = listing.files.get(shard);
    if (file === undefined) {
      throw new KandinskyError("file_missing", {
        what: `cannot load the weights: the index names "${shard}", which is not there`,
        where,
        hint: `download the missing file into ${listing.folder}`,
      });
    }
    // What the index does not know is kept, so that strict binding reports it.
    for (const entry of await readEntries(file, join(listing.folder, shard))) {
      if ((shardOf.get(entry.name) ?? shard) === shard) tensors.set(entry.name, entry);
    }
  }
  for (const [name, shard] of shardOf) {
    if (tensors.has(name)) continue;
    throw new KandinskyError("tensor_missing", {
      what: `cannot load the weights: tensor "${name}" is not in "${shard}", where the index places it`,
      where,
      hint: "the index and the shards belong to different versions: download them together",
    });
  }
  return tensors;
}

/** Tensor name to shard name, from the JSON of an index. Throws `file_corrupt` and `file_escapes`. */
export function readWeightMap(json: unknown, where: string): ReadonlyMap<string, string> {
  const what = "cannot read the index of the weights";
  const fields = fieldsOf(fieldsOf(json)?.get("weight_map"));
  if (fields === undefined) {
    throw new KandinskyError("file_corrupt", { what, where, wanted: "an object weight_map" });
  }
  for (const [name, shard] of fields) {
    if (typeof shard !== "string") {
      throw new KandinskyError("file_corrupt", {
        what,
        where,
        seen: `${JSON.stringify(shard)} for tensor "${name}"`,
        wanted: "a file name",
      });
    }
    if (/[/\\]/.test(shard)) {
      throw new KandinskyError("file_escapes", {
        what,
        where,
        seen: `the shard "${shard}"`,
        wanted: "the name of a file beside the index, without a path",
      });
    }
  }
  return fields as ReadonlyMap<string, string>;
}

function noWeights(listing: Listing): KandinskyError {
  const names = [...listing.files.keys()];
  const shard = names.find((name) => /-\d{5}-of-\d{5}.*\.safetensors$/.test(name));
  const pickle = names.find((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  let hint = "download the part's safetensors file";
  if (shard !== undefined) hint = `"${shard}" is one of several: download the index file beside it`;
  else if (pickle !== undefined)
    hint = `"${pickle}" is a pickle: make safetensors of it with \`kandinsky convert\`, or download them`;
  return new KandinskyError("file_missing", {
    what: "cannot find the weights",
    where: listing.folder,
    seen: names.length === 0 ? "no files" : names.slice(0, 10).join(", "),
    wanted: `one of ${WEIGHT_FILES.filter(({ indexed }) => !indexed)
      .map(({ name }) => name)
      .join(", ")}, or an index of shards`,
    hint,
  });
}
