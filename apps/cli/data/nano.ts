import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../../../src/base/mod.ts";
import { contactSheet, encodePixels, type Picture, saveFile } from "../../../src/image/mod.ts";
import { keyOf } from "../../../src/random/mod.ts";
import {
  isStyle,
  NANO_SCENES,
  openMasters,
  readSubjects,
  SCENES_CACHE,
  SPLITS,
  type Split,
  STYLES,
  type StyleName,
  writeScenes,
} from "../../../src/scenes/mod.ts";
import { type Context, print } from "../context.ts";
import { takeFolder } from "../output-folder.ts";
import { startProgress } from "../progress.ts";
import { formatCount } from "../units.ts";
import { known } from "./known.ts";

export interface NanoOptions {
  readonly count: number;
  readonly size: number;
  readonly seed: number;
  readonly shard: number;
  readonly split: string;
  readonly styles: string;
  readonly cache?: string;
}

/** Above this the masters would be enlarged. */
const LARGEST = 128;
/** Pictures of the sheet. */
const SHOWN = 64;

/** `kandinsky data nano OUT`. */
export async function drawNano(
  context: Context,
  folder: string,
  { count, size, seed, shard, split, styles, cache = SCENES_CACHE }: NanoOptions,
): Promise<void> {
  const { text, language, signal } = context;
  const { data: t } = text;
  known("--split", split, SPLITS);
  const chosen = stylesOf(styles);
  checkSize(size);
  const key = keyOf(seed);
  await takeFolder(folder);
  const progress = startProgress(context);
  try {
    const subjects = await readSubjects();
    const masters = await openMasters({
      folder: cache,
      codes: subjects.map(({ code }) => code),
      styles: Object.keys(chosen) as StyleName[],
      onStage: (stage) =>
        progress.say("installs" in stage ? t.installing(stage.installs.join(", ")) : t.icons(stage.draws)),
    });
    const shown: Picture[] = [];
    const onScene = (picture: Picture, _: unknown, done: number) => {
      if (signal.aborted) throw new KandinskyError("cancelled", { what: text.run.stopped });
      if (shown.length < SHOWN) shown.push(picture);
      progress.update({ label: t.drawing, detail: `${done}/${count}`, fraction: done / count });
    };
    const scenes = { ...NANO_SCENES, split: split as Split, styles: chosen };
    // Apart from the sheet, which would else be found as one more picture to train on.
    const inner = join(folder, "shards");
    await mkdir(inner);
    const shards = await writeScenes({
      ...{ subjects, masters, scenes, key, count, size },
      ...{ perShard: shard, folder: inner, onScene },
    });
    const sheet = join(folder, "sheet.png");
    await saveFile(sheet, await encodePixels(contactSheet(shown), "png"), { overwrite: false });
    progress.clear();
    print(context, t.wrote(formatCount(count, language), formatCount(shards.length, language), inner, sheet));
  } finally {
    progress.clear();
  }
}

/** The styles named, with the weights of nano's own mixture where they have one, else all alike. */
function stylesOf(names: string): Partial<Record<StyleName, number>> {
  const list = names.split(",").map((name) => name.trim());
  for (const name of list) known("--styles", name, Object.keys(STYLES));
  const weights: Partial<Record<StyleName, number>> = NANO_SCENES.styles;
  const mixed = list.every((name) => isStyle(name) && weights[name] !== undefined);
  return Object.fromEntries(list.map((name) => [name, mixed ? weights[name as StyleName]! : 1]));
}

function checkSize(size: number): void {
  if (size >= 16 && size <= LARGEST) return;
  throw new KandinskyError("option_invalid", {
    what: "cannot draw this size",
    where: "--size",
    seen: String(size),
    wanted: `16 to ${LARGEST}`,
  });
}
