import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { MASTER_SIDE, type Masters } from "./compose.ts";
import type { StyleName } from "./styles.ts";

const FOLDER = fileURLToPath(new URL("../../../golden/scenes/", import.meta.url));

/** Codes of the drawings in `golden/scenes`: forty subjects of the seed model, in noto and flat. */
export const DRAWN_CODES: readonly string[] = JSON.parse(readFileSync(`${FOLDER}codes.json`, "utf8"));

/** Masters from the sheets in `golden/scenes`, so that tests need no icon package. */
export async function drawnMasters(): Promise<Masters> {
  const masters = new Map<string, Uint8Array>();
  for (const style of ["noto", "flat"] as const satisfies readonly StyleName[]) {
    for (const [i, code] of DRAWN_CODES.entries()) {
      const pixels = await sharp(`${FOLDER}${style}.webp`)
        .extract({
          left: (i % 8) * MASTER_SIDE,
          top: Math.floor(i / 8) * MASTER_SIDE,
          width: MASTER_SIDE,
          height: MASTER_SIDE,
        })
        .raw()
        .toBuffer();
      const data = new Uint8Array(pixels);
      for (let at = 0; at < data.length; at += 4) {
        for (let channel = at; channel < at + 3; channel++) {
          data[channel] = Math.round((data[channel]! * data[at + 3]!) / 255);
        }
      }
      masters.set(`${style}/${code}`, data);
    }
  }
  return masters;
}
