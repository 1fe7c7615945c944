/**
 * Goes on with nano-unet from models/nano-next, the averaged weights of a run that was stopped, in half precision. Moments
 * begin anew, so that the learning rate rises once more.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-unet-on.js --out runs/nano-unet
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";
import whole from "./nano-unet.ts";

/** What is left of the stage "64". */
const LEFT = 130_000;

export default defineRun({
  ...whole,
  model: fileURLToPath(new URL("../../models/nano-next", import.meta.url)),
  start: "model",
  // Not the pictures and noises of the run that was stopped.
  seed: 3,
  stages: whole.stages.flatMap((stage) => {
    if (stage.name === "32" || stage.name === "96") return [];
    return stage.name === "64" ? [{ ...stage, samples: LEFT, learningRate: 3e-4, finalShare: 0.3 }] : [stage];
  }),
});
