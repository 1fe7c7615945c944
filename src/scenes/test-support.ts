import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Masters } from "./compose.ts";
import { readMasterSheet } from "./sheet.node.ts";
import { STYLES } from "./styles.ts";
import type { Subject } from "./subjects.ts";

const FOLDER = fileURLToPath(new URL("../../../golden/scenes/", import.meta.url));

/** Codes of the drawings in `golden/scenes`: forty subjects of the seed model, in noto and flat. */
export const DRAWN_CODES: readonly string[] = JSON.parse(readFileSync(`${FOLDER}codes.json`, "utf8"));

/** Masters from the sheets in `golden/scenes`, so that tests need no icon package. */
export async function drawnMasters(): Promise<Masters> {
  const noto = await readMasterSheet(`${FOLDER}noto.webp`, "noto", DRAWN_CODES);
  const flat = await readMasterSheet(`${FOLDER}flat.webp`, "flat", DRAWN_CODES);
  return new Map([...noto, ...flat]);
}

/** An installed icon set of coloured discs in the place of noto's, so that no package is needed. */
export async function writeDiscs(folder: string, subjects: readonly Subject[]): Promise<void> {
  const set = join(folder, "icons", "node_modules", STYLES.noto.package);
  await mkdir(set, { recursive: true });
  const disc = (i: number) => ({ body: `<circle cx="8" cy="8" r="7" fill="hsl(${i * 9} 80% 50%)"/>` });
  const codes = subjects.map(({ code }) => code);
  await writeFile(join(set, "package.json"), JSON.stringify({ version: STYLES.noto.version }));
  await writeFile(
    join(set, "chars.json"),
    JSON.stringify(Object.fromEntries(codes.map((code) => [code.toLowerCase(), code]))),
  );
  const icons = Object.fromEntries(codes.map((code, i) => [code, disc(i)]));
  await writeFile(join(set, "icons.json"), JSON.stringify({ icons }));
}
