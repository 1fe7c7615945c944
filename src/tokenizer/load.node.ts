import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { tokenizerConfig } from "./config.ts";
import { corrupt } from "./failures.ts";
import { tokenizerFromSpiece } from "./spiece.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizerFromJson } from "./tokenizer-json.ts";

/**
 * Loads the tokenizer of a model folder (its `tokenizer/`): `spiece.model` where there is one, else
 * `tokenizer.json`, with the small JSON files beside it.
 * @throws KandinskyError `tokenizer_missing` where neither is there, `file_corrupt`, `model_config`
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const [config, specialTokens, addedTokens] = await Promise.all(
    ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"].map((name) =>
      readJson(join(folder, name)),
    ),
  );
  const settings = tokenizerConfig({ config, specialTokens, addedTokens });
  const spiece = join(folder, "spiece.model");
  const model = await readIfThere(spiece);
  if (model !== undefined) return tokenizerFromSpiece(model, settings, spiece);
  const tokenizerJson = join(folder, "tokenizer.json");
  const json = await readJson(tokenizerJson);
  if (json !== undefined) return tokenizerFromJson(json, settings, tokenizerJson);
  throw new KandinskyError("tokenizer_missing", {
    what: "the model has no tokenizer",
    where: folder,
    seen: "neither spiece.model nor tokenizer.json",
    wanted: "one of the two",
    hint: "copy them from the model's tokenizer folder",
  });
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code = "error" } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw corrupt(path, code, cause);
  }
}

async function readJson(path: string): Promise<unknown> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw corrupt(path, `no JSON (${(cause as Error).message})`, cause);
  }
}
