import { contactSheet, encodePixels, type Picture, saveFile } from "../image/mod.ts";
import { type GenerateOptions, Kandinsky3, type LoraChoice, type PictureRequest } from "../pipelines/mod.ts";
import type { RunOf } from "./config.ts";
import type { Holed } from "./holes.ts";

/** A picture with a hole that leaves something of it. */
export interface HoledPicture extends Holed {
  readonly picture: Picture;
}

export interface SheetRequest {
  readonly sheets: NonNullable<RunOf<"diffusion">["sheets"]>;
  /** Pictures whose holes are filled, at most as many as there are prompts. */
  readonly holes?: readonly HoledPicture[];
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

/**
 * Draws the prompts of a run, always from the same seeds, and saves them on one sheet. With holes they are its first row;
 * below them are the pictures with their holes in grey, then filled.
 */
export async function drawSheet(request: SheetRequest): Promise<void> {
  const { sheets, holes = [], model, loras = [], threads, file, width, height } = request;
  const { prompts, every: _, ...sampling } = sheets;
  await using drawer = await Kandinsky3.load({ model, loras, threads, cache: false });
  const drawn = await drawAll(drawer, { prompt: prompts, ...sampling, width, height });
  const filled: Picture[] = [];
  for (const one of holes) {
    const files = new Map([
      ["picture", one.picture],
      ["hole", inHole(one, WHITE, BLACK)],
    ]);
    const named = { image: "picture", mask: { from: "file", file: "hole" }, region: "whole" } as const;
    const open = (name: string) => encodePixels(files.get(name)!, "png");
    const fill = { operation: "inpaint", ...named, prompt: one.text, ...sampling } as const;
    filled.push(...(await drawAll(drawer, fill, { open })));
  }
  const sheet =
    holes.length === 0
      ? contactSheet(drawn)
      : contactSheet([...drawn, ...lineOf(holes.map(inGrey), prompts.length), ...filled], prompts.length);
  await saveFile(file, await encodePixels(sheet, "png"), { overwrite: true });
}

async function drawAll(
  drawer: Kandinsky3,
  request: PictureRequest,
  options: GenerateOptions = {},
): Promise<Picture[]> {
  const pictures: Picture[] = [];
  for await (const event of drawer.generate(request, options)) {
    if (event.type === "picture") pictures.push(event.picture);
  }
  return pictures;
}

const [BLACK, GREY, WHITE] = [0, 128, 255];

function inGrey(holed: HoledPicture): Picture {
  return inHole(holed, GREY);
}

/** The picture with one value in its hole, and another where it is kept unless that stays as it is. */
function inHole({ picture, keep }: HoledPicture, hole: number, kept?: number): Picture {
  const data = picture.data.map((value, i) => (keep[Math.floor(i / 3)] === 1 ? (kept ?? value) : hole));
  return { ...picture, data };
}

/** The pictures with empty places behind them, `count` together. */
function lineOf(pictures: readonly Picture[], count: number): Picture[] {
  const empty = { width: 1, height: 1, data: Uint8Array.of(WHITE, WHITE, WHITE) };
  return Array.from({ length: count }, (_, i) => pictures[i] ?? empty);
}
