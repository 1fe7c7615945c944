/**
 * Goes on with nano-unet from models/nano-next: the averaged weights, in half precision, of a run of nano-unet that was
 * stopped within its stage "64", and the text encoder and autoencoder that it was trained with. Moments begin anew, so
 * that the learning rate rises once more.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-unet-on.js --out runs/nano-unet
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";
import whole from "./nano-unet.ts";

/** What the stage "64" had seen of its samples. */
const SEEN = 229_696;

export default defineRun({
  ...whole,
  model: fileURLToPath(new URL("../../models/nano-next", import.meta.url)),
  start: "model",
  // Not the pictures and noises of the run that was stopped.
  seed: 3,
  stages: whole.stages.flatMap((stage) => {
    if (stage.name === "32") return [];
    return stage.name === "64" ? [{ ...stage, samples: stage.samples - SEEN, warmUp: 12_800 }] : [stage];
  }),
});
