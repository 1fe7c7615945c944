/**
 * A LoRA of twenty pictures with captions, on the small model that comes along: teaches it a raccoon, which it has never
 * seen. For pictures of your own copy this file, or write the same as JSON, and change `data`, `prior` and `model`.
 *
 *   node dist/apps/cli/main.js train dist/configs/lora-folder.js --out runs/lora
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 *
 * Then: node dist/apps/cli/main.js generate "raccoon, noto style" --lora runs/lora/lora/pytorch_lora_weights.safetensors
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineRun({
  kind: "lora",
  model: folder("../../models/nano"),
  seed: 1,
  rank: 16,
  data: { kind: "files", paths: [folder("../../examples/raccoon")] },
  stages: [
    {
      name: "64",
      sizes: [{ width: 64, height: 64 }],
      batch: 8,
      samples: 480,
      learningRate: 1e-3,
      warmUp: 160,
    },
  ],
  // What the model shall go on knowing; it draws these itself before the first update.
  prior: {
    prompts: ["panda, noto style", "fox, noto style", "cat, noto style", "red apple, noto style"],
    samples: 32,
  },
  halfLives: [50],
  checkpoints: { every: 240, keep: 1 },
  sheets: {
    every: 240,
    prompts: ["raccoon, noto style", "raccoon on a pink background, noto style", "fox, noto style"],
  },
});
