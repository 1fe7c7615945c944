import { join } from "node:path";
import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import { contactSheet, encodePixels, type Picture, resizePicture, saveFile } from "../../../src/image/mod.ts";
import { holeRatio, type Mask, type MaskKind, makeMask } from "../../../src/masks/mod.ts";
import { foldIn, keyOf } from "../../../src/random/mod.ts";
import { type Context, print } from "../context.ts";
import { takeFolder } from "../output-folder.ts";
import { startProgress } from "../progress.ts";
import { formatCount } from "../units.ts";
import type { Size } from "../values.ts";
import { readObjects } from "./objects.ts";

interface Options {
  readonly kind: string;
  readonly count: number;
  readonly size: Size;
  readonly seed: number;
  readonly objects: readonly string[];
}

const MOST_PIXELS = 1e8;
/** Pixels along the longer side of the sheet. */
const SHEET_SIDE = 4096;
const GREY = 128;

/** `kandinsky masks`. */
export async function runMasks(context: Context, command: Command): Promise<number> {
  const { text, language, signal } = context;
  const { masks: t } = text;
  const { kind, count, size, seed, objects: paths } = command.opts<Options>();
  checkSize(size);
  const folder = command.args[0]!;
  const key = keyOf(seed);
  const objects = await readObjects(paths);
  // A mistake in the options shows before the folder is made.
  makeMask(kind as MaskKind, key, size, objects);
  await takeFolder(folder);
  const progress = startProgress(context);
  const ratios: number[] = [];
  const cells: Picture[] = [];
  const columns = Math.ceil(Math.sqrt(count));
  try {
    for (let index = 0; index < count; index++) {
      if (signal.aborted) throw new KandinskyError("cancelled", { what: text.run.stopped });
      const { spec, mask } = makeMask(kind as MaskKind, foldIn(key, index), size, objects);
      const holes = holeRatio(mask);
      const picture = pictureOf(mask);
      const name = join(folder, `mask-${String(index + 1).padStart(4, "0")}`);
      const told = JSON.stringify({ seed, index, holes, ...spec }, undefined, 1);
      await saveFile(`${name}.png`, await encodePixels(picture, "png"), { overwrite: false });
      await saveFile(`${name}.json`, new TextEncoder().encode(`${told}\n`), { overwrite: false });
      ratios.push(holes);
      cells.push(await cellOf(picture, Math.floor(SHEET_SIDE / columns)));
      progress.update({ label: t.drawing, detail: name, fraction: (index + 1) / count });
    }
    const sheet = join(folder, "sheet.png");
    const bytes = await encodePixels(contactSheet(cells, columns), "png");
    await saveFile(sheet, bytes, { overwrite: false });
    progress.clear();
    print(context, t.wrote(formatCount(count, language), folder, sheet));
    print(context, t.holes(...statistics(ratios, language)));
  } finally {
    progress.clear();
  }
  return 0;
}

function checkSize({ width, height }: Size): void {
  if (width * height <= MOST_PIXELS) return;
  throw new KandinskyError("option_invalid", {
    what: "the masks are too large",
    where: "--size",
    seen: `${width}x${height}`,
    wanted: "at most 100 million pixels",
  });
}

/** Holes are white. */
function pictureOf({ width, height, data }: Mask): Picture {
  const pixels = new Uint8Array(3 * data.length);
  for (let i = 0; i < data.length; i++) if (data[i] === 1) pixels.fill(255, 3 * i, 3 * i + 3);
  return { width, height, data: pixels };
}

/** The picture at most `side` large, with a grey edge: white masks on a white sheet would run into each other. */
async function cellOf(picture: Picture, side: number): Promise<Picture> {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((x) => Math.max(Math.round(x * scale), 1)) as [
    number,
    number,
  ];
  const { data } = scale < 1 ? await resizePicture(picture, width, height) : picture;
  const edged = Uint8Array.from(data, (value, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return x === 0 || y === 0 || x === width - 1 || y === height - 1 ? GREY : value;
  });
  return { width, height, data: edged };
}

/** Mean and the 5th, 50th and 95th percentile, worded. */
function statistics(ratios: readonly number[], language: string): [string, string, string, string] {
  const sorted = [...ratios].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))]!;
  const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
  return [mean, at(0.05), at(0.5), at(0.95)].map((ratio) => percent.format(ratio)) as [
    string,
    string,
    string,
    string,
  ];
}
