import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Masters } from "./compose.ts";
import { readMasterSheet } from "./sheet.node.ts";

const FOLDER = fileURLToPath(new URL("../../../golden/scenes/", import.meta.url));

/** Codes of the drawings in `golden/scenes`: forty subjects of the seed model, in noto and flat. */
export const DRAWN_CODES: readonly string[] = JSON.parse(readFileSync(`${FOLDER}codes.json`, "utf8"));

/** Masters from the sheets in `golden/scenes`, so that tests need no icon package. */
export async function drawnMasters(): Promise<Masters> {
  const noto = await readMasterSheet(`${FOLDER}noto.webp`, "noto", DRAWN_CODES);
  const flat = await readMasterSheet(`${FOLDER}flat.webp`, "flat", DRAWN_CODES);
  return new Map([...noto, ...flat]);
}
