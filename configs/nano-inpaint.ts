/**
 * The inpainting variant of our nano model: the U-Net that nano-unet left in runs/nano-unet/model, told beside the noisy
 * latent which cells are kept and the latent of the picture without the hole. Its first update begins with what the U-Net
 * predicts anyway.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-inpaint.js --out runs/nano-inpaint
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 *
 * Then node dist/tools/inpaint-bar/main.js --model runs/nano-inpaint/model --fallback runs/nano-unet/model
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";
import base, { square } from "./nano-unet.ts";

export default defineRun({
  kind: "diffusion",
  model: fileURLToPath(new URL("../../runs/nano-unet/model", import.meta.url)),
  start: "model",
  inpainting: {},
  seed: 2,
  // Without a pool: latents of pictures with holes, which do not come again, would push the kept ones out.
  data: { ...base.data, pool: undefined },
  stages: [
    {
      name: "64",
      sizes: [square(64), square(64), square(64), square(96)],
      batch: 32,
      samples: 24_000,
      learningRate: 2e-4,
      warmUp: 1600,
      finalShare: 0.05,
    },
  ],
  halfLives: [4000],
  checkpoints: { every: 8000, keep: 2 },
  // The prompts are drawn with a hole all over, which the U-Net must not forget; below them holes are filled.
  sheets: {
    every: 8000,
    prompts: [
      "red apple, noto style",
      "кот",
      "three bananas",
      "a dog to the left of a house",
      "рыба на синем фоне",
      "nine stars in a grid",
    ],
  },
});
