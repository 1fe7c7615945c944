import type { PictureMetadata } from "./parameters.ts";
import type { Picture } from "./picture.ts";

/** A non-square picture whose every pixel tells its place: red is x, green is y, blue their smooth mixture. */
export function gradient(width: number, height: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set([4 * x, 5 * y, 2 * (x + y)], 3 * (y * width + x));
  }
  return { width, height, data };
}

export function metadataOf(prompt: string, negativePrompt = ""): PictureMetadata {
  return {
    prompt,
    negativePrompt,
    steps: 25,
    sampler: "DDPM",
    guidance: 3,
    seed: 0,
    width: 48,
    height: 32,
    model: "nano",
    json: { prompt, negativePrompt, seed: 0, guidance: 1 / 3, list: [null, true, { "": "\u0000" }] },
  };
}

export function worstDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
}
