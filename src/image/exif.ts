/** Marks UTF-16 text in the tag UserComment (Exif 2.32, 4.6.5). */
const UNICODE = "UNICODE\0";

/**
 * A big-endian TIFF block with two texts: `description` (ASCII only) as ImageDescription and `comment` as
 * UserComment in UTF-16, big-endian as the piexif library writes it and web UIs read it back.
 */
export function encodeExif(description: string, comment: string): Uint8Array {
  const descriptionAt = 38;
  const descriptionSize = description.length + 1;
  const exifAt = descriptionAt + descriptionSize + (descriptionSize % 2);
  const commentAt = exifAt + 18;
  const commentSize = UNICODE.length + 2 * comment.length;
  const view = new DataView(new ArrayBuffer(commentAt + commentSize));

  view.setUint32(0, 0x4d4d002a);
  view.setUint32(4, 8);
  view.setUint16(8, 2);
  setEntry(view, 10, { tag: 0x010e, type: 2, count: descriptionSize, value: descriptionAt });
  setEntry(view, 22, { tag: 0x8769, type: 4, count: 1, value: exifAt });
  for (let i = 0; i < description.length; i++) view.setUint8(descriptionAt + i, description.charCodeAt(i));

  view.setUint16(exifAt, 1);
  setEntry(view, exifAt + 2, { tag: 0x9286, type: 7, count: commentSize, value: commentAt });
  for (let i = 0; i < UNICODE.length; i++) view.setUint8(commentAt + i, UNICODE.charCodeAt(i));
  for (let i = 0; i < comment.length; i++) {
    view.setUint16(commentAt + UNICODE.length + 2 * i, comment.charCodeAt(i));
  }
  return new Uint8Array(view.buffer);
}

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  readonly value: number;
}

function setEntry(view: DataView, at: number, { tag, type, count, value }: Entry): void {
  view.setUint16(at, tag);
  view.setUint16(at + 2, type);
  view.setUint32(at + 4, count);
  view.setUint32(at + 8, value);
}

/** The text of a UserComment: UTF-16 big-endian behind `UNICODE`, else the bytes behind the 8-byte prefix. */
export function decodeUserComment(bytes: Uint8Array): string {
  const prefix = new TextDecoder("latin1").decode(bytes.subarray(0, 8));
  const text = bytes.subarray(8);
  if (prefix !== UNICODE) return new TextDecoder().decode(text).replace(/\0+$/, "");
  const view = new DataView(text.buffer, text.byteOffset, text.byteLength);
  const units = Array.from({ length: text.length >> 1 }, (_, i) =>
    String.fromCharCode(view.getUint16(2 * i)),
  );
  return units.join("");
}
