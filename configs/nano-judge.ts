/**
 * The judge of `kandinsky evaluate`: a classifier of nano's subjects, trained from nothing on renders of them alone, in
 * both of nano's styles. Its features say which of many subjects a picture is most like.
 *
 *   node dist/apps/cli/main.js train dist/configs/nano-judge.js --out runs/nano-judge
 *   (--dry tells the stages, --smoke goes the whole way in seconds, --resume goes on)
 *
 * Then copy config.json and model.safetensors of runs/nano-judge/model to models/nano-judge.
 */
import { defineRun } from "../src/runs/mod.ts";

export default defineRun({
  kind: "classifier",
  seed: 1,
  data: { kind: "scenes", styles: { noto: 0.6, flat: 0.4 } },
  network: { side: 32, widths: [64, 128], features: 128 },
  stages: [
    {
      name: "renders",
      // Small ones are enlarged: pictures of weak models are as blurred.
      sizes: [16, 32, 64].map((side) => ({ width: side, height: side })),
      batch: 128,
      samples: 128_000,
      learningRate: 2e-3,
      warmUp: 3200,
      finalShare: 0.02,
    },
  ],
  halfLives: [3000],
  checkpoints: { every: 32_000, keep: 1 },
});
