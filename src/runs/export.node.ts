import { copyFile, link, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { type OpenedModel, PREVIEW_FILE } from "../pipelines/mod.ts";
import { cast, type Tensor } from "../tensor/mod.ts";
import { NULL_EMBEDDING } from "../train/mod.ts";
import { writeNullEmbedding } from "./weights.node.ts";

/** The parts of a model folder that come along unchanged, and its small files. */
const TAKEN = ["text_encoder", "tokenizer", "movq", "scheduler", "model_index.json", PREVIEW_FILE];

/**
 * Writes a model folder that `generate` loads: the parts of `model` as they are (linked where the disk allows it), with
 * these weights as the U-Net, in float16. A folder of that name is replaced when the new one is whole.
 */
export async function exportModel(
  model: OpenedModel,
  weights: ReadonlyMap<string, Tensor>,
  target: string,
): Promise<void> {
  const beside = (word: string) => join(dirname(target), `.${basename(target)}.${word}`);
  const [temporary, before] = [beside("tmp"), beside("before")];
  await rm(temporary, { recursive: true, force: true });
  await mkdir(join(temporary, "unet"), { recursive: true });
  const { root } = model.folder;
  for (const name of TAKEN) await take(join(root, name), join(temporary, name));
  await take(join(root, "unet", "config.json"), join(temporary, "unet", "config.json"));
  const tensors = [...weights].flatMap(([name, value]) =>
    name === NULL_EMBEDDING ? [] : [{ name, tensor: cast(value, "float16") }],
  );
  const none = weights.get(NULL_EMBEDDING);
  if (none !== undefined) await writeNullEmbedding(temporary, none);
  await writeSafetensors(join(temporary, "unet", WEIGHTS), tensors, { format: "pt" });
  await rm(before, { recursive: true, force: true });
  await rename(target, before).catch(ignoreMissing);
  await rename(temporary, target);
  await rm(before, { recursive: true, force: true });
}

const WEIGHTS = "diffusion_pytorch_model.safetensors";

/** A file or a folder, under another name. What is not there is left out. */
async function take(from: string, to: string): Promise<void> {
  const found = await stat(from).catch(ignoreMissing);
  if (found === undefined) return;
  if (!found.isDirectory()) {
    await link(from, to).catch(() => copyFile(from, to));
    return;
  }
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from))
    if (!name.startsWith(".")) await take(join(from, name), join(to, name));
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

/** Writes text under a temporary name, then renames it: a reader sees the old file or the new one, whole. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeFile(temporary, text, { flush: true });
  await rename(temporary, path);
}
