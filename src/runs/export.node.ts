import { copyFile, link, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { type OpenedModel, PREVIEW_FILE, SUBJECTS_FILE } from "../pipelines/mod.ts";
import { cast, type Tensor } from "../tensor/mod.ts";
import { NULL_EMBEDDING } from "../train/mod.ts";
import { writeNullEmbedding } from "./weights.node.ts";

/** What a model folder holds. */
const TAKEN = [
  "text_encoder",
  "tokenizer",
  "unet",
  "movq",
  "scheduler",
  "model_index.json",
  PREVIEW_FILE,
  SUBJECTS_FILE,
  `${NULL_EMBEDDING}.safetensors`,
];

/** A part of a model with weights of its own. */
export interface NewPart {
  readonly part: keyof typeof WEIGHTS;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Small files that come in the place of the model's, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** The learned embedding of no text, where it was trained. */
  readonly nullEmbedding?: Tensor | undefined;
}

/**
 * Writes a model folder that `generate` loads: everything of `model` as it is (linked where the disk allows it) but one
 * part, whose weights are these in float16. A folder of that name is replaced when the new one is whole.
 */
export async function exportModel(model: OpenedModel, changed: NewPart, target: string): Promise<void> {
  const { part, weights, files = {}, nullEmbedding } = changed;
  await replaceFolder(target, async (temporary) => {
    await mkdir(join(temporary, part));
    const { root } = model.folder;
    const config = join(part, "config.json");
    const others = TAKEN.filter((name) => name !== part);
    const kept = [...others, config].filter((name) => files[name] === undefined);
    for (const name of kept) {
      if (name.startsWith(NULL_EMBEDDING) && nullEmbedding !== undefined) continue;
      await take(join(root, name), join(temporary, name));
    }
    for (const [name, text] of Object.entries(files)) await writeFile(join(temporary, name), text);
    if (nullEmbedding !== undefined) await writeNullEmbedding(temporary, nullEmbedding);
    await writeWeights(join(temporary, part, WEIGHTS[part]), weights);
  });
}

/** Writes the folder of a network that is no part of a model: `config.json`, and the weights in float16. */
export async function exportNetwork(
  config: unknown,
  weights: ReadonlyMap<string, Tensor>,
  target: string,
): Promise<void> {
  await replaceFolder(target, async (temporary) => {
    await writeFile(join(temporary, "config.json"), `${JSON.stringify(config, undefined, 1)}\n`);
    await writeWeights(join(temporary, WEIGHTS.text_encoder), weights);
  });
}

async function writeWeights(file: string, weights: ReadonlyMap<string, Tensor>): Promise<void> {
  const tensors = [...weights].map(([name, value]) => ({ name, tensor: cast(value, "float16") }));
  await writeSafetensors(file, tensors, { format: "pt" });
}

/** Fills a folder under another name and gives it its own when it is whole, in the place of one that is there. */
export async function replaceFolder(
  target: string,
  fill: (temporary: string) => Promise<void>,
): Promise<void> {
  const beside = (word: string) => join(dirname(target), `.${basename(target)}.${word}`);
  const [temporary, before] = [beside("tmp"), beside("before")];
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  await fill(temporary);
  await rm(before, { recursive: true, force: true });
  await rename(target, before).catch(ignoreMissing);
  await rename(temporary, target);
  await rm(before, { recursive: true, force: true });
}

/** The names that diffusers and transformers look for. */
const WEIGHTS = {
  text_encoder: "model.safetensors",
  unet: "diffusion_pytorch_model.safetensors",
  movq: "diffusion_pytorch_model.safetensors",
} as const;

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
