/**
 * The autoencoder of our nano model, trained from nothing on squares of 32 px of composed scenes: four pixels a latent
 * cell. Its configuration is that of models/nano; the text encoder is the one of nano-text, which comes first.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-autoencoder.js --out runs/nano-autoencoder
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 *
 * Then nano-unet.
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";

export default defineRun({
  kind: "autoencoder",
  model: fileURLToPath(new URL("../../runs/nano-text/model", import.meta.url)),
  seed: 1,
  data: { kind: "scenes" },
  crop: 32,
  stages: [
    {
      name: "crops",
      sizes: [64, 96, 128].map((side) => ({ width: side, height: side })),
      batch: 16,
      samples: 72_000,
      learningRate: 1e-3,
      warmUp: 3200,
    },
  ],
  halfLives: [4000],
  checkpoints: { every: 16_000, keep: 2 },
});
