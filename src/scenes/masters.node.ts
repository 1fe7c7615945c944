import { createHash } from "node:crypto";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { KandinskyError } from "../base/mod.ts";
import { type NamedTensor, readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { tensor } from "../tensor/mod.ts";
import { MASTER_SIDE, type Masters } from "./compose.ts";
import { type IconSet, installIcons, readIconSet } from "./icons.node.ts";
import { premultiplied } from "./sheet.node.ts";
import { STYLES, type Style, type StyleName } from "./styles.ts";

export interface MastersRequest {
  /** Where icon sets and masters are kept. */
  readonly folder: string;
  readonly codes: readonly string[];
  readonly styles: readonly StyleName[];
  /** Called when packages are installed, and for every style that is drawn. */
  readonly onStage?: (
    stage: { readonly installs: readonly string[] } | { readonly draws: StyleName },
  ) => void;
}

/**
 * The masters of all codes in all styles. The first time, the icon sets that are missing are installed with npm
 * into `folder` and every icon is drawn once; after that one file a style is read. A file belongs to the
 * version of its set and to its codes, so other ones make a new file.
 * Throws `program_failed` where npm cannot install, `option_invalid` where a style has no icon for a code.
 */
export async function openMasters({ folder, codes, styles, onStage }: MastersRequest): Promise<Masters> {
  await mkdir(folder, { recursive: true });
  const files = styles.map((style) => ({ style, path: join(folder, mastersName(style, codes)) }));
  const present = await Promise.all(files.map(({ path }) => exists(path)));
  const missing = files.filter((_, i) => !present[i]);
  if (missing.length > 0) {
    const sets = [...new Set(missing.flatMap(({ style }) => setsOf(style)))];
    await installIcons(folder, sets, (installs) => onStage?.({ installs }));
    for (const { style, path } of missing) {
      onStage?.({ draws: style });
      await drawMasters(folder, style, codes, path);
    }
  }
  const masters = new Map<string, Uint8Array>();
  for (const { style, path } of files) {
    const { entries } = await readSafetensorsHeader(path);
    for (const entry of entries.values()) {
      masters.set(`${style}/${entry.name}`, (await readTensor(entry)).data as Uint8Array);
    }
  }
  return masters;
}

/** The style itself, and the one that names its icons. */
function setsOf(style: StyleName): StyleName[] {
  const { names }: Style = STYLES[style];
  return names === undefined ? [style] : [style, names as StyleName];
}

function mastersName(style: StyleName, codes: readonly string[]): string {
  const { integrity } = STYLES[style];
  const hash = createHash("sha256").update(JSON.stringify([integrity, MASTER_SIDE, codes]));
  return `masters-${style}-${hash.digest("hex").slice(0, 12)}.safetensors`;
}

async function drawMasters(
  folder: string,
  style: StyleName,
  codes: readonly string[],
  path: string,
): Promise<void> {
  const set = await readIconSet(folder, style);
  const naming = setsOf(style).at(-1)!;
  const names = naming === style ? set.names : (await readIconSet(folder, naming)).names;
  const tensors: NamedTensor[] = [];
  for (const code of codes) {
    const data = await drawIcon(set.svg(names.get(code) ?? ""), { style, code });
    tensors.push({ name: code, tensor: tensor("uint8", [MASTER_SIDE, MASTER_SIDE, 4], data) });
  }
  const { package: from, version, licence, author }: Style = STYLES[style];
  await writeSafetensors(path, tensors, { package: from, version, licence, author });
}

/** RGBA of an icon with the colours multiplied by their opacity, which is what averaging needs. */
async function drawIcon(
  svg: ReturnType<IconSet["svg"]>,
  { style, code }: { style: StyleName; code: string },
): Promise<Uint8Array> {
  if (svg === undefined) {
    throw new KandinskyError("option_invalid", {
      what: "a style has no icon for a subject",
      where: style,
      seen: code,
      hint: "leave the style or the subject out",
    });
  }
  const pixels = await sharp(Buffer.from(svg))
    .resize(MASTER_SIDE, MASTER_SIDE, { fit: "contain", background: "#0000" })
    .ensureAlpha()
    .raw()
    .toBuffer();
  return premultiplied(new Uint8Array(pixels));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
