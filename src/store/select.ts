import { KandinskyError } from "../base/mod.ts";
import { checkPipelineClass, readWeightMap, type Variant, WEIGHT_FILES } from "../checkpoint/mod.ts";
import type { RemoteFile } from "./names.ts";

/** The files of a repository that make up a model, and which weights each part got. */
export interface Selection {
  readonly files: readonly RemoteFile[];
  readonly variants: Readonly<Record<string, Variant>>;
}

const INDEX = "model_index.json";
const WEIGHT_PARTS = ["text_encoder", "unet", "movq"];
/** Files beside the weights that belong to a model where they are there. */
const SMALL = [
  /^(README|LICEN[CS]E|NOTICE)[\w.-]*$/i,
  /^preview\.json$/,
  /^(native\/|unet\/)?null_embedding\.safetensors$/,
  /^tokenizer\/[^/]+$/,
  /^scheduler\/scheduler_config\.json$/,
];

/**
 * The files of a listing that a Kandinsky 3 folder needs: of the weights of a part only one variant, the
 * wanted one or, where the part lacks it, the first that is whole; never pickles. `read` gives the JSON of a listed file. Throws
 * `model_family`, `model_missing`, `file_missing`, and `file_corrupt` where different weights share one hash.
 */
export async function selectFiles(
  repository: string,
  listing: readonly RemoteFile[],
  wanted: (part: string) => Variant | undefined,
  read: (file: RemoteFile) => Promise<unknown>,
): Promise<Selection> {
  const byPath = new Map(listing.map((file) => [file.path, file]));
  const index = byPath.get(INDEX);
  if (index === undefined) throw noModel(repository, listing);
  const classes = (await read(index)) as Readonly<Record<string, unknown>> | null;
  checkPipelineClass(classes?.["_class_name"], `${repository}/${INDEX}`);
  const files = [index, ...listing.filter(({ path }) => SMALL.some((pattern) => pattern.test(path)))];
  const weights: RemoteFile[] = [];
  const variants: Record<string, Variant> = {};
  for (const part of WEIGHT_PARTS) {
    const config = byPath.get(`${part}/config.json`);
    if (config === undefined)
      throw incomplete(repository, `${part}/config.json`, "a repository with all parts of a model");
    const chosen = await chooseWeights(repository, part, byPath, wanted(part), read);
    variants[part] = chosen.variant;
    files.push(config, ...chosen.indexes);
    weights.push(...chosen.weights);
  }
  checkHashes(repository, weights);
  return { files: [...new Set([...files, ...weights])], variants };
}

interface Weights {
  readonly variant: Variant;
  readonly indexes: readonly RemoteFile[];
  readonly weights: readonly RemoteFile[];
}

async function chooseWeights(
  repository: string,
  part: string,
  byPath: ReadonlyMap<string, RemoteFile>,
  variant: Variant | undefined,
  read: (file: RemoteFile) => Promise<unknown>,
): Promise<Weights> {
  const there = WEIGHT_FILES.filter(({ name }) => byPath.has(`${part}/${name}`));
  const preferred = [...there.filter((file) => file.variant === variant), ...there];
  let lacking: string | undefined;
  for (const candidate of preferred) {
    const file = byPath.get(`${part}/${candidate.name}`)!;
    if (!candidate.indexed) return { variant: candidate.variant, indexes: [], weights: [file] };
    const shards = new Set(readWeightMap(await read(file), `${repository}/${file.path}`).values());
    const found = [...shards].map((shard) => byPath.get(`${part}/${shard}`));
    const weights = found.filter((shard) => shard !== undefined);
    if (weights.length === shards.size) return { variant: candidate.variant, indexes: [file], weights };
    lacking ??= [...shards].find((shard) => !byPath.has(`${part}/${shard}`));
  }
  if (lacking !== undefined)
    throw incomplete(repository, `${part}/${lacking}`, "every shard that the index names");
  const pickle = [...byPath.keys()].find(
    (path) => path.startsWith(`${part}/`) && /\.(bin|pt|pth|ckpt)$/.test(path),
  );
  throw new KandinskyError("file_missing", {
    what: "the repository has no safetensors of this part",
    where: `${repository}/${part}`,
    ...(pickle === undefined ? {} : { seen: pickle }),
    wanted: "safetensors",
    hint: "take a repository with safetensors, or make them of `.bin` files that you have with `kandinsky convert`",
  });
}

/** Forks have been seen whose parts all point to one content: what downloads is then not what it is called. */
function checkHashes(repository: string, weights: readonly RemoteFile[]): void {
  const seen = new Map<string, string>();
  for (const { path, oid } of weights) {
    const other = seen.get(oid);
    if (other !== undefined && other !== path) {
      throw new KandinskyError("file_corrupt", {
        what: "the repository has one content under two names: it is damaged",
        where: repository,
        seen: `${other} and ${path} with the hash ${oid}`,
        hint: "add the original, kandinsky-community/kandinsky-3",
      });
    }
    seen.set(oid, path);
  }
}

function incomplete(repository: string, missing: string, wanted: string): KandinskyError {
  return new KandinskyError("file_missing", {
    what: "the repository lacks a file of the model",
    where: `${repository}/${missing}`,
    wanted,
    hint: "choose another revision or repository, such as kandinsky-community/kandinsky-3",
  });
}

function noModel(repository: string, listing: readonly RemoteFile[]): KandinskyError {
  const pickle = listing.find(({ path }) => /\.(pt|pth|ckpt)$/.test(path));
  const names = [...new Set(listing.map(({ path }) => path.split("/")[0]!))].slice(0, 10).join(", ");
  return new KandinskyError(pickle === undefined ? "model_family" : "model_missing", {
    what: "there is no Kandinsky 3 folder in this repository",
    where: repository,
    seen: names === "" ? "no files" : names,
    wanted: "model_index.json",
    hint:
      pickle === undefined
        ? "add kandinsky-community/kandinsky-3"
        : "these are files of the original release: download them, then make a folder with `kandinsky convert`",
  });
}
