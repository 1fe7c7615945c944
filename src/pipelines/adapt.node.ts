import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { loraAdapter, matchLora, mergedTensors, readLora } from "../adapters/mod.ts";
import { KandinskyError } from "../base/mod.ts";
import { openModelFolder, openPart, requirePart, writeSafetensorsStream } from "../checkpoint/mod.ts";
import { type UNetConfig, unetLayerWeights } from "../models/mod.ts";
import { bindUNet, type ModelPart } from "./model.node.ts";

/** A LoRA file and how strongly it acts: 1 (default) as trained, 0 not at all. */
export interface LoraChoice {
  readonly file: string;
  readonly weight?: number;
}

/** A LoRA in use: what is needed to find it again. */
export interface LoraInfo {
  /** The file's name without its folder. */
  readonly name: string;
  readonly weight: number;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly hash: string;
}

/** A U-Net with LoRAs on it, and which these are. */
export interface AdaptedUNet {
  readonly unet: ModelPart<UNetConfig>;
  readonly loras: readonly LoraInfo[];
}

/**
 * The U-Net with LoRAs on top, all acting together; no file is changed, and the U-Net given stays as it is.
 * Throws `option_invalid` for a weight that is not finite, and as `readLora` and `matchLora` do.
 */
export async function withLoras(
  unet: ModelPart<UNetConfig>,
  choices: readonly LoraChoice[],
): Promise<AdaptedUNet> {
  if (choices.length === 0) return { unet, loras: [] };
  const weights = unetLayerWeights(unet.config);
  const read = choices.map(async ({ file, weight = 1 }) => {
    if (!Number.isFinite(weight)) {
      const what = "cannot use this weight of a LoRA";
      throw new KandinskyError("option_invalid", {
        what,
        where: file,
        seen: `${weight}`,
        wanted: "a number",
      });
    }
    const lora = await readLora(file);
    const info: LoraInfo = { name: basename(file), weight, hash: lora.hash };
    return { info, adapter: loraAdapter(lora.hash, matchLora(lora, weights), weight) };
  });
  const found = await Promise.all(read);
  const adapters = found.map(({ adapter }) => adapter);
  return { unet: { ...unet, part: { ...unet.part, adapters } }, loras: found.map(({ info }) => info) };
}

/** The U-Net of a model's folder, or of its own. Throws as `openModelFolder`, `openPart` and `bindUNet` do. */
export async function openUNet(path: string): Promise<ModelPart<UNetConfig>> {
  const isModel = existsSync(join(path, "model_index.json"));
  return bindUNet(isModel ? requirePart(await openModelFolder(path), "unet") : await openPart(path));
}

/**
 * Writes an adapted U-Net as one safetensors file that needs no LoRA any more; the files it came from stay as they
 * are. Every tensor keeps the type in which it is stored. Throws as `writeSafetensorsStream` does.
 */
export async function writeMerged(
  { unet, loras }: AdaptedUNet,
  file: string,
  onWritten: (bytes: number) => void = () => {},
): Promise<void> {
  const { entries, adapters = [] } = unet.part;
  const used = JSON.stringify(loras);
  await writeSafetensorsStream(
    file,
    mergedTensors(entries, adapters),
    { format: "pt", kandinsky_loras: used },
    onWritten,
  );
}
