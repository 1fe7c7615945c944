import { ascii, damaged, joinBytes, startsWith } from "./bytes.ts";

const JPEG_NAME = ascii("Exif\0\0");

export function isWebp(bytes: Uint8Array): boolean {
  return startsWith(bytes, ascii("RIFF")) && startsWith(bytes.subarray(8), ascii("WEBP"));
}

/** One chunk of a RIFF file. */
interface Chunk {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The WebP in the extended layout (WebP container specification) with the block as its EXIF chunk. */
export function addWebpExif(
  webp: Uint8Array,
  exif: Uint8Array,
  size: { readonly width: number; readonly height: number },
): Uint8Array {
  const header = new DataView(new ArrayBuffer(10));
  header.setUint8(0, 0x08);
  header.setUint16(4, (size.width - 1) & 0xffff, true);
  header.setUint8(6, (size.width - 1) >> 16);
  header.setUint16(7, (size.height - 1) & 0xffff, true);
  header.setUint8(9, (size.height - 1) >> 16);
  const extended = { name: "VP8X", data: new Uint8Array(header.buffer) };
  const image = webpChunks(webp, "").filter((chunk) => chunk.name.startsWith("VP8") && chunk.name !== "VP8X");
  return riff([extended, ...image, { name: "EXIF", data: exif }]);
}

/** The TIFF block of a WebP, undefined where there is none. Throws `file_corrupt` naming `where`. */
export function readWebpExif(bytes: Uint8Array, where: string): Uint8Array | undefined {
  const data = webpChunks(bytes, where).find((chunk) => chunk.name === "EXIF")?.data;
  // Some writers keep the name that belongs to JPEG's segment.
  return data !== undefined && startsWith(data, JPEG_NAME) ? data.subarray(JPEG_NAME.length) : data;
}

function webpChunks(bytes: Uint8Array, where: string): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  const total = bytes.length < 12 ? Number.POSITIVE_INFINITY : 8 + view.getUint32(4, true);
  if (total > bytes.length) throw damaged("WebP", where, bytes.length);
  for (let at = 12; at + 8 <= total; ) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > total) throw damaged("WebP", where, bytes.length);
    const name = new TextDecoder("latin1").decode(bytes.subarray(at, at + 4));
    chunks.push({ name, data: bytes.subarray(at + 8, end) });
    at = end + (end % 2);
  }
  return chunks;
}

function riff(chunks: readonly Chunk[]): Uint8Array {
  const parts = chunks.flatMap(({ name, data }) => [
    riffHeader(name, data.length),
    data,
    new Uint8Array(data.length % 2),
  ]);
  const body = joinBytes([ascii("WEBP"), ...parts]);
  return joinBytes([riffHeader("RIFF", body.length), body]);
}

function riffHeader(name: string, length: number): Uint8Array {
  const header = new Uint8Array(8);
  header.set(ascii(name));
  new DataView(header.buffer).setUint32(4, length, true);
  return header;
}
