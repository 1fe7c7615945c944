import { join } from "node:path";
import { readTensorAsFloat32, writeSafetensors } from "../checkpoint/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import { type UNetConfig, unetParameters } from "../models/mod.ts";
import { entryOf, type OpenedModel, readNullEmbedding } from "../pipelines/mod.ts";
import type { Key } from "../random/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { NULL_EMBEDDING } from "../train/mod.ts";
import type { RunOf } from "./config.ts";
import { initialWeights } from "./initial.ts";
import { widened } from "./inpainting-unet.ts";

/** What a diffusion run trains: U-Net, text projection and, for the native profile, the embedding of no text. */
export function trainedParameters({ info }: OpenedModel, config: UNetConfig): ParameterShape[] {
  const own = unetParameters(config);
  if (info.profile !== "native") return own;
  return [...own, { name: NULL_EMBEDDING, shape: [config.crossAttentionDim] }];
}

/** Their first values for a U-Net of this configuration: drawn from the key, or those of the model. */
export async function firstWeights(
  model: OpenedModel,
  config: UNetConfig,
  start: RunOf<"diffusion">["start"],
  key: Key,
): Promise<Map<string, Tensor>> {
  const parameters = trainedParameters(model, config);
  if (start === "fresh") return initialWeights("unet", parameters, key);
  const weights = new Map<string, Tensor>();
  for (const { name, shape } of parameters) {
    const value =
      name === NULL_EMBEDDING
        ? float32(shape, (await readNullEmbedding(model))!)
        : await readTensorAsFloat32(entryOf(model.unet.part, name));
    weights.set(name, name === FIRST_CONVOLUTION ? widened(value, shape) : value);
  }
  return weights;
}

/** What sees the U-Net's input channels. */
const FIRST_CONVOLUTION = "conv_in.weight";

/** Where model folders keep the embedding of no text. */
export async function writeNullEmbedding(folder: string, value: Tensor): Promise<void> {
  const file = join(folder, `${NULL_EMBEDDING}.safetensors`);
  await writeSafetensors(file, [{ name: NULL_EMBEDDING, tensor: value }], {});
}
