import { inflateSync } from "node:zlib";
import { KandinskyError } from "../base/mod.ts";
import { damaged as cutOff, startsWith } from "./bytes.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
/** Length of the signature and the header chunk: text goes right behind it, before the pixels. */
const HEADER_END = 8 + 12 + 13;
/** A decompressed text larger than this is an attack on memory, not a prompt. */
const TEXT_LIMIT = 1 << 24;

export function isPng(bytes: Uint8Array): boolean {
  return startsWith(bytes, SIGNATURE);
}

/** Whether a PNG has frames: its control chunk acTL must come before the pixels (PNG specification, third edition). */
export function isAnimatedPng(bytes: Uint8Array): boolean {
  if (!isPng(bytes)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === "acTL") return true;
    if (type === "IDAT") return false;
  }
  return false;
}

/**
 * The PNG with text chunks added in the given order (PNG specification, 11.3.4): tEXt where the text is
 * Latin-1, else uncompressed iTXt in UTF-8, which is the choice Pillow makes and every reader knows.
 */
export function addPngText(
  png: Uint8Array,
  entries: readonly (readonly [keyword: string, text: string])[],
): Uint8Array {
  const chunks = entries.map(([keyword, text]) => {
    const key = Buffer.from(`${keyword}\0`, "latin1");
    return isLatin1(text)
      ? chunk("tEXt", Buffer.concat([key, Buffer.from(text, "latin1")]))
      : chunk("iTXt", Buffer.concat([key, Buffer.from([0, 0, 0, 0]), Buffer.from(text, "utf8")]));
  });
  return Buffer.concat([png.subarray(0, HEADER_END), ...chunks, png.subarray(HEADER_END)]);
}

/** Every text of a PNG by keyword, the first of equal keywords. Throws `file_corrupt` naming `where`. */
export function readPngText(bytes: Uint8Array, where: string): Map<string, string> {
  const texts = new Map<string, string>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; ; ) {
    if (at + 12 > bytes.length) throw cutOff("PNG", where, bytes.length);
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw cutOff("PNG", where, bytes.length);
    const type = Buffer.from(bytes.subarray(at + 4, at + 8)).toString("latin1");
    if (view.getUint32(end) !== crc32(bytes.subarray(at + 4, end))) {
      throw damaged(where, `chunk ${JSON.stringify(type)} at byte ${at}`, "bytes that fit its checksum");
    }
    const entry = READ[type]?.(Buffer.from(bytes.subarray(at + 8, end)), where);
    if (entry !== undefined && !texts.has(entry[0])) texts.set(...entry);
    if (type === "IEND") return texts;
    at = end + 4;
  }
}

/** How each kind of text chunk is read. */
const READ: Readonly<Record<string, (data: Buffer, where: string) => [keyword: string, text: string]>> = {
  tEXt: (data) => {
    const [keyword, text] = cut(data);
    return [keyword, text.toString("latin1")];
  },
  zTXt: (data, where) => {
    const [keyword, rest] = cut(data);
    return [keyword, inflate(rest.subarray(1), where).toString("latin1")];
  },
  iTXt: (data, where) => {
    const [keyword, rest] = cut(data);
    const text = cut(cut(rest.subarray(2))[1])[1];
    return [keyword, (rest[0] === 1 ? inflate(text, where) : text).toString("utf8")];
  },
};

/** The part before the first zero byte, as Latin-1, and the part behind it. */
function cut(data: Buffer): [string, Buffer] {
  const zero = data.indexOf(0);
  return zero < 0
    ? [data.toString("latin1"), data.subarray(data.length)]
    : [data.toString("latin1", 0, zero), data.subarray(zero + 1)];
}

function inflate(data: Buffer, where: string): Buffer {
  try {
    return inflateSync(data, { maxOutputLength: TEXT_LIMIT });
  } catch (cause) {
    throw damaged(where, "a compressed text that does not unpack", "zlib data", cause);
  }
}

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length);
  bytes.write(type, 4, "latin1");
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

/** CRC-32 of PNG (specification, annex D). node:zlib has one only from 20.15 on, and we start at 20.9. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function isLatin1(text: string): boolean {
  return [...text].every((character) => character.codePointAt(0)! < 256);
}

function damaged(where: string, seen: string, wanted: string, cause?: unknown): KandinskyError {
  return new KandinskyError(
    "file_corrupt",
    { what: "the PNG is damaged", where, seen, wanted, hint: "copy the file again from where it came from" },
    { cause },
  );
}
