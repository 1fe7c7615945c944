import { KandinskyError } from "../base/mod.ts";
import { ascii, damaged, joinBytes, startsWith } from "./bytes.ts";

export function isJpeg(bytes: Uint8Array): boolean {
  return startsWith(bytes, Uint8Array.of(0xff, 0xd8));
}

const APP1_LIMIT = 0xffff - 2;
const APP1_NAME = ascii("Exif\0\0");

/** The JPEG with the block in an APP1 segment behind the start marker. Throws `option_invalid` over 64 KiB. */
export function addJpegExif(jpeg: Uint8Array, exif: Uint8Array): Uint8Array {
  const size = APP1_NAME.length + exif.length;
  if (size > APP1_LIMIT) {
    throw new KandinskyError("option_invalid", {
      what: "the settings do not fit into a JPEG file",
      seen: `${size} bytes`,
      wanted: `at most ${APP1_LIMIT}`,
      hint: "use the format png or webp, or a shorter prompt",
    });
  }
  const marker = Uint8Array.of(0xff, 0xe1, (size + 2) >> 8, (size + 2) & 255);
  return joinBytes([jpeg.subarray(0, 2), marker, APP1_NAME, exif, jpeg.subarray(2)]);
}

/** The TIFF block of a JPEG, undefined where there is none. Throws `file_corrupt` naming `where`. */
export function readJpegExif(bytes: Uint8Array, where: string): Uint8Array | undefined {
  for (let at = 2; ; ) {
    if (at + 4 > bytes.length || bytes[at] !== 0xff) throw damaged("JPEG", where, bytes.length);
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at += 1; // Fill bytes may stand before a marker.
      continue;
    }
    if (marker === 0xda || marker === 0xd9) return undefined;
    const end = at + 2 + bytes[at + 2]! * 256 + bytes[at + 3]!;
    if (end > bytes.length) throw damaged("JPEG", where, bytes.length);
    const data = bytes.subarray(at + 4, end);
    if (marker === 0xe1 && startsWith(data, APP1_NAME)) return data.subarray(APP1_NAME.length);
    at = end;
  }
}
