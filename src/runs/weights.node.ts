import { join } from "node:path";
import { readTensorAsFloat32, writeSafetensors } from "../checkpoint/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import { unetParameters } from "../models/mod.ts";
import { entryOf, type OpenedModel, readNullEmbedding } from "../pipelines/mod.ts";
import type { Key } from "../random/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { NULL_EMBEDDING } from "../train/mod.ts";
import type { RunOf } from "./config.ts";
import { initialWeights } from "./initial.ts";

/** What a diffusion run trains: U-Net, text projection and, for the native profile, the embedding of no text. */
export function trainedParameters({ unet, info }: OpenedModel): ParameterShape[] {
  const { config } = unet;
  const own = unetParameters(config);
  if (info.profile !== "native") return own;
  return [...own, { name: NULL_EMBEDDING, shape: [config.crossAttentionDim] }];
}

/** Their first values: drawn from the key, or those of the model. */
export async function firstWeights(
  model: OpenedModel,
  start: RunOf<"diffusion">["start"],
  key: Key,
): Promise<Map<string, Tensor>> {
  const parameters = trainedParameters(model);
  if (start === "fresh") return initialWeights("unet", parameters, key);
  const weights = new Map<string, Tensor>();
  for (const { name, shape } of parameters) {
    const value =
      name === NULL_EMBEDDING
        ? float32(shape, (await readNullEmbedding(model))!)
        : await readTensorAsFloat32(entryOf(model.unet.part, name));
    weights.set(name, value);
  }
  return weights;
}

/** Where model folders keep the embedding of no text. */
export async function writeNullEmbedding(folder: string, value: Tensor): Promise<void> {
  const file = join(folder, `${NULL_EMBEDDING}.safetensors`);
  await writeSafetensors(file, [{ name: NULL_EMBEDDING, tensor: value }], {});
}
