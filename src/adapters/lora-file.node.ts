import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import { readSafetensorsHeader, readTensorAsFloat32, type TensorEntry } from "../checkpoint/mod.ts";
import { type LoraNaming, parseLoraKey } from "./names.ts";

/** The tensors of one changed layer, as they lie in the file: a half may be missing. */
export interface LoraModule {
  readonly naming: LoraNaming;
  /** The layer as the file names it. */
  readonly module: string;
  /** Every tensor's name, for messages. */
  readonly names: readonly string[];
  readonly down?: TensorEntry;
  readonly up?: TensorEntry;
  /** From the file's tensor, or from what is written about the whole; undefined means the rank. */
  readonly alpha?: number;
}

/** A LoRA file as it is, before it is held against a model. */
export interface LoraFile {
  readonly file: string;
  readonly name: string;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly hash: string;
  readonly modules: readonly LoraModule[];
  /** Tensors that belong to no LoRA. */
  readonly strangers: readonly TensorEntry[];
  /** Whether the factor is alpha / sqrt(rank) and not alpha / rank. */
  readonly rankStabilized: boolean;
}

/** What peft and diffusers write about an adapter. */
const aboutSchema = z.object({
  lora_alpha: z.number().optional(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  use_rslora: z.boolean().nullish(),
});
type About = z.output<typeof aboutSchema>;

/** Key of the safetensors metadata in which diffusers keeps peft's settings, as JSON with dotted names. */
const METADATA_KEY = "lora_adapter_metadata";
/** Peft's own pair of files. */
const PEFT_FILE = "adapter_model.safetensors";
const PEFT_CONFIG = "adapter_config.json";

/**
 * Reads a LoRA in diffusers', peft's, kohya's or ComfyUI's naming: header, alphas and hash, no other values.
 * Throws `file_missing`, `file_corrupt` or `tensor_dtype`.
 */
export async function readLora(path: string): Promise<LoraFile> {
  const { entries, metadata } = await readSafetensorsHeader(path);
  const about = await readAbout(path, metadata);
  const groups = new Map<
    string,
    { -readonly [K in keyof LoraModule]: LoraModule[K] } & { names: string[] }
  >();
  const strangers: TensorEntry[] = [];
  for (const entry of entries.values()) {
    const key = parseLoraKey(entry.name);
    if (key === undefined) {
      strangers.push(entry);
      continue;
    }
    const { role, naming, module } = key;
    const id = `${naming} ${module}`;
    const group = groups.get(id) ?? { naming, module, names: [] };
    groups.set(id, group);
    group.names.push(entry.name);
    if (role === "alpha") group.alpha = await readAlpha(entry);
    else group[role] = entry;
  }
  const modules = [...groups.values()].map((group) => {
    const alpha = group.alpha ?? alphaOf(about, group.module);
    return { ...group, ...(alpha === undefined ? {} : { alpha }) };
  });
  return {
    file: path,
    name: basename(path),
    hash: await hashOf(path),
    modules,
    strangers,
    rankStabilized: about.use_rslora ?? false,
  };
}

async function readAlpha(entry: TensorEntry): Promise<number> {
  const { data } = await readTensorAsFloat32(entry);
  if (data.length === 1 && Number.isFinite(data[0])) return data[0]!;
  throw new KandinskyError("file_corrupt", {
    what: "cannot read the LoRA",
    where: `${entry.file}, tensor "${entry.name}"`,
    seen: data.length === 1 ? `${data[0]}` : `${data.length} numbers`,
    wanted: "one finite number",
  });
}

/** What is said of the whole adapter: in the header, or in peft's file beside. */
async function readAbout(path: string, metadata: Readonly<Record<string, string>>): Promise<About> {
  const inside = metadata[METADATA_KEY];
  if (inside !== undefined) return parseAbout(inside, `${path}, metadata ${METADATA_KEY}`);
  if (basename(path) !== PEFT_FILE) return {};
  const beside = join(dirname(path), PEFT_CONFIG);
  const text = await readFile(beside, "utf8").catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot read the settings of the LoRA", where: beside, hint: "it belongs beside the weights" },
      { cause },
    );
  });
  return parseAbout(text, beside);
}

function parseAbout(text: string, where: string): About {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      { what: "cannot read the settings of the LoRA", where, wanted: "JSON" },
      { cause },
    );
  }
  const ofUNet = Object.entries(fields ?? {}).map(([key, value]) => [key.replace(/^unet\./, ""), value]);
  const parsed = aboutSchema.safeParse(Object.fromEntries(ofUNet));
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new KandinskyError("file_corrupt", {
    what: "cannot read the settings of the LoRA",
    where: `${where}, ${path.join(".")}`,
    seen: message,
  });
}

/** Peft's patterns are ends of module paths. */
function alphaOf(about: About, module: string): number | undefined {
  const own = Object.entries(about.alpha_pattern ?? {}).find(([end]) => `.${module}`.endsWith(`.${end}`));
  return own?.[1] ?? about.lora_alpha;
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
  return hash.digest("hex");
}
