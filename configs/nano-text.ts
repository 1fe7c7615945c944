/**
 * The text encoder of our nano model, trained from nothing on captions of composed scenes in 15 languages: first a bag of
 * pieces, which learns the words fast, then all four blocks, which learn what stands where. Tokenizer and configuration
 * are those of models/nano.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-text.js --out runs/nano-text
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 *
 * Then nano-autoencoder.
 */
import { fileURLToPath } from "node:url";
import { defineRun } from "../src/runs/mod.ts";

export default defineRun({
  kind: "text-encoder",
  model: fileURLToPath(new URL("../../models/nano", import.meta.url)),
  seed: 1,
  // The bars ask as much of German as of Chinese; English and Russian have longer lists of phrases to learn.
  languages: {
    en: 2,
    ru: 2,
    ...Object.fromEntries(
      ["de", "fr", "es", "it", "pt", "pl", "uk", "zh", "ja", "ko", "hi", "sv", "nl"].map((one) => [one, 1]),
    ),
  },
  stages: [
    { name: "words", blocks: 0, batch: 512, samples: 800_000, learningRate: 5e-3, warmUp: 10_000 },
    {
      name: "sentences",
      blocks: 4,
      table: 8,
      batch: 128,
      samples: 180_000,
      learningRate: 2e-4,
      warmUp: 10_000,
    },
  ],
  halfLives: [20_000],
  checkpoints: { every: 102_400, keep: 2 },
});
