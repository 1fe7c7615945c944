/**
 * The U-Net of our nano model, trained on composed scenes: 300 subjects in 15 languages, the announcement's five stages at
 * 1/8 of their size. Text encoder and autoencoder are those that nano-text and nano-autoencoder left in
 * runs/nano-autoencoder/model: train these first.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-unet.js --out runs/nano-unet
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";
import { NANO_SUBJECTS } from "./nano-subjects.ts";

export const square = (side: number) => ({ width: side, height: side });

export default defineRun({
  kind: "diffusion",
  model: fileURLToPath(new URL("../../runs/nano-autoencoder/model", import.meta.url)),
  start: "fresh",
  seed: 1,
  data: {
    kind: "scenes",
    subjects: NANO_SUBJECTS,
    // Layouts, counts and backgrounds are right after 100,000 samples; what the subjects look like takes many times as
    // many. So mostly one subject, in one style, of nearly one size.
    kinds: { single: 0.78, relation: 0.07, count: 0.1, grid: 0.05 },
    styles: { noto: 0.85, flat: 0.15 },
    alone: { side: [0.78, 0.88], shift: 0.015 },
    // What the autoencoder made of so many pictures fits into memory, and a fifth more samples into a second.
    pool: 16_384,
  },
  stages: [
    {
      name: "32",
      sizes: [square(32)],
      batch: 64,
      samples: 100_000,
      learningRate: 6e-4,
      warmUp: 6400,
      finalShare: 1,
    },
    {
      name: "64",
      sizes: [square(64)],
      batch: 64,
      samples: 560_000,
      learningRate: 4e-4,
      warmUp: 3200,
      finalShare: 0.04,
    },
    { name: "96", sizes: [square(96)], batch: 32, samples: 10_240, learningRate: 1e-4, warmUp: 1600 },
    {
      name: "mixed",
      // The small one among them, so that it is not forgotten.
      sizes: [square(64), { width: 128, height: 96 }, { width: 96, height: 128 }, square(128)],
      batch: 16,
      samples: 80_000,
      learningRate: 2e-4,
      warmUp: 800,
      finalShare: 0.05,
    },
  ],
  halfLives: [10_000],
  checkpoints: { every: 25_600, keep: 2 },
  sheets: {
    every: 25_600,
    prompts: [
      "red apple, noto style",
      "кот",
      "three bananas",
      "a dog to the left of a house",
      "рыба на синем фоне",
      "Auto, flat",
      "guitar on a pink background",
      "nine stars in a grid",
    ],
  },
});
