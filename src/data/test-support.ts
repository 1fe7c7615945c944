import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePixels, type Picture, type PictureFormat } from "../image/mod.ts";
import type { WrittenSample } from "./write.node.ts";

/** Runs `use` with a new folder that is gone afterwards. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "kandinsky-data-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A picture file of one colour, which tells pictures apart after any scaling. */
export function plainFile(
  [red, green, blue]: readonly [number, number, number],
  width: number,
  height: number,
  format: PictureFormat = "png",
): Promise<Uint8Array> {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < data.length; i += 3) data.set([red, green, blue], i);
  return encodePixels({ width, height, data }, format);
}

/** The colour of a picture's middle. */
export function colourOf({ width, height, data }: Picture): number[] {
  const at = 3 * (Math.floor(height / 2) * width + Math.floor(width / 2));
  return [...data.subarray(at, at + 3)];
}

/** Samples as `writeShard` takes them. */
export async function* streamed(samples: readonly WrittenSample[]): AsyncIterable<WrittenSample> {
  yield* samples;
}
