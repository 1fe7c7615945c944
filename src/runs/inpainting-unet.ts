import { KandinskyError } from "../base/mod.ts";
import { type UNetConfig, widenUNetJson } from "../models/mod.ts";
import type { OpenedModel } from "../pipelines/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";

/** The U-Net that a run trains: its configuration, and the file of it where it is another than the model's. */
export interface TrainedUNet {
  readonly config: UNetConfig;
  readonly file?: string;
}

/** The model's own U-Net. Throws `option_invalid` for one that was made for inpainting: it would be told nothing. */
export function plainUNet({ unet, info }: OpenedModel): TrainedUNet {
  if (!info.inpaints) return { config: unet.config };
  throw new KandinskyError("option_invalid", {
    what: "this model is for inpainting",
    where: info.folder,
    seen: `${unet.config.inChannels} input channels`,
    hint: "add inpainting: {} to the training config",
  });
}

/** The model's U-Net with channels for a mask and a masked latent, whether it has them yet or not. */
export function inpaintingUNet({ unet, info, folder }: OpenedModel): TrainedUNet {
  const { config } = unet;
  if (info.inpaints) return { config };
  const extra = 1 + config.outChannels;
  // Opening the model has parsed it.
  const json = folder.parts.unet!.config as Readonly<Record<string, unknown>>;
  return {
    config: { ...config, inChannels: config.inChannels + extra },
    file: `${JSON.stringify(widenUNetJson(json, config, extra), undefined, 2)}\n`,
  };
}

/** The weight [out,in,h,w] of a convolution that gets more input channels: 0 for the new ones, which it does not see. */
export function widened(weight: Tensor<"float32">, shape: readonly number[]): Tensor<"float32"> {
  const [out, , height, width] = shape as [number, number, number, number];
  const before = weight.shape[1]! * height * width;
  const after = shape[1]! * height * width;
  const data = new Float32Array(out * after);
  for (let row = 0; row < out; row++) {
    data.set(weight.data.subarray(row * before, (row + 1) * before), row * after);
  }
  return float32(shape, data);
}
