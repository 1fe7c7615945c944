/** The picture chunk of a lossy WebP: sharp writes it first, or behind the extended header. */
export function webpPicture(webp: Uint8Array): Uint8Array {
  const view = new DataView(webp.buffer, webp.byteOffset, webp.byteLength);
  for (let at = 12; at + 8 <= webp.length; ) {
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length + (length % 2);
    const name = String.fromCharCode(...webp.subarray(at, at + 4));
    if (name === "VP8 " || name === "VP8L") return webp.subarray(at, end);
    at = end;
  }
  return new Uint8Array(0);
}

const FLAG_ANIMATED = 0x02;
const FLAG_EXIF = 0x08;
/** The frame replaces what was there. */
const NO_BLEND = 0x02;

/** What the beginning of an animated WebP says of the rest. */
export interface WebpFilm {
  readonly width: number;
  readonly height: number;
  readonly loop: number;
  /** Whether there is an EXIF chunk at the end. */
  readonly hasExif: boolean;
}

/** The beginning of an animated WebP (WebP container specification); `bytes` is the length of the whole file. */
export function webpHeader({ width, height, loop, hasExif }: WebpFilm, bytes: number): Uint8Array {
  const header = new Uint8Array(44);
  const view = new DataView(header.buffer);
  writeName(header, 0, "RIFF");
  view.setUint32(4, bytes - 8, true);
  writeName(header, 8, "WEBP");
  writeName(header, 12, "VP8X");
  view.setUint32(16, 10, true);
  header[20] = FLAG_ANIMATED | (hasExif ? FLAG_EXIF : 0);
  write24(view, 24, width - 1);
  write24(view, 27, height - 1);
  writeName(header, 30, "ANIM");
  view.setUint32(34, 6, true);
  view.setUint16(42, loop, true);
  return header;
}

/** One frame of an animated WebP, shown for that many milliseconds. */
export function webpImage(
  picture: Uint8Array,
  { width, height }: { readonly width: number; readonly height: number },
  milliseconds: number,
): Uint8Array {
  const chunk = new Uint8Array(24 + picture.length);
  const view = new DataView(chunk.buffer);
  writeName(chunk, 0, "ANMF");
  view.setUint32(4, 16 + picture.length, true);
  write24(view, 14, width - 1);
  write24(view, 17, height - 1);
  write24(view, 20, milliseconds);
  chunk[23] = NO_BLEND;
  chunk.set(picture, 24);
  return chunk;
}

/** An EXIF block as a chunk, even bytes long. */
export function webpExif(exif: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(8 + exif.length + (exif.length % 2));
  writeName(chunk, 0, "EXIF");
  new DataView(chunk.buffer).setUint32(4, exif.length, true);
  chunk.set(exif, 8);
  return chunk;
}

function writeName(bytes: Uint8Array, at: number, name: string): void {
  for (let i = 0; i < 4; i++) bytes[at + i] = name.charCodeAt(i);
}

function write24(view: DataView, at: number, value: number): void {
  view.setUint16(at, value & 0xffff, true);
  view.setUint8(at + 2, value >> 16);
}
