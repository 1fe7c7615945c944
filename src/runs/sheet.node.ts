import { contactSheet, encodePixels, type Picture, saveFile } from "../image/mod.ts";
import { Kandinsky3, type LoraChoice } from "../pipelines/mod.ts";
import type { RunOf } from "./config.ts";

export interface SheetRequest {
  readonly sheets: NonNullable<RunOf<"diffusion">["sheets"]>;
  /** Folder of the model to draw with. */
  readonly model: string;
  /** On top of it. */
  readonly loras?: readonly LoraChoice[];
  readonly width: number;
  readonly height: number;
  readonly threads: number;
  /** The picture file. */
  readonly file: string;
}

/** Draws the prompts of a run, always from the same seeds, and saves them on one sheet. */
export async function drawSheet({
  sheets,
  model,
  loras = [],
  threads,
  file,
  ...size
}: SheetRequest): Promise<void> {
  const { prompts, steps, guidance, seed } = sheets;
  await using drawer = await Kandinsky3.load({ model, loras, threads, cache: false });
  const pictures: Picture[] = [];
  for await (const event of drawer.generate({ prompt: prompts, steps, guidance, seed, ...size })) {
    if (event.type === "picture") pictures.push(event.picture);
  }
  await saveFile(file, await encodePixels(contactSheet(pictures), "png"), { overwrite: true });
}
