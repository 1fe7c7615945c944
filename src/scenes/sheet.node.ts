import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { KandinskyError } from "../base/mod.ts";
import { MASTER_SIDE, type Masters } from "./compose.ts";
import type { StyleName } from "./styles.ts";

/**
 * Masters of one style from a sheet: a lossless picture with opacity, masters row by row in the order of the codes. So
 * pictures can be judged where icons cannot be installed. Throws `file_corrupt` where the sheet does not hold as many.
 */
export async function readMasterSheet(
  path: string,
  style: StyleName,
  codes: readonly string[],
): Promise<Masters> {
  const { data: pixels, info } = await sharp(await readFile(path))
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const columns = Math.floor(info.width / MASTER_SIDE);
  const room = columns * Math.floor(info.height / MASTER_SIDE);
  if (room < codes.length) {
    throw new KandinskyError("file_corrupt", {
      what: "the sheet has too few drawings",
      where: path,
      seen: `${room} of ${MASTER_SIDE} pixels`,
      wanted: `${codes.length}`,
    });
  }
  return new Map(
    codes.map((code, i) => {
      const left = (i % columns) * MASTER_SIDE;
      const top = Math.floor(i / columns) * MASTER_SIDE;
      const data = new Uint8Array(4 * MASTER_SIDE ** 2);
      for (let y = 0; y < MASTER_SIDE; y++) {
        const from = 4 * ((top + y) * info.width + left);
        data.set(pixels.subarray(from, from + 4 * MASTER_SIDE), 4 * y * MASTER_SIDE);
      }
      return [`${style}/${code}`, premultiplied(data)];
    }),
  );
}

/** Multiplies the colours by their opacity, in place: only so can they be averaged. */
export function premultiplied(data: Uint8Array): Uint8Array {
  for (let i = 0; i < data.length; i += 4) {
    const opacity = data[i + 3]! / 255;
    for (let channel = i; channel < i + 3; channel++) data[channel] = Math.round(data[channel]! * opacity);
  }
  return data;
}
