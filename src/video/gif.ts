import { KandinskyError } from "../base/mod.ts";

/** What of a GIF of one picture goes into a film: its colours and its compressed pixels. */
export interface GifFrame {
  readonly width: number;
  readonly height: number;
  /** Three bytes a colour; a power of two of them. */
  readonly palette: Uint8Array;
  /** Minimum code size and blocks of LZW codes, with the block that ends them. */
  readonly pixels: Uint8Array;
}

const EXTENSION = 0x21;
const COMMENT = 0xfe;
const IMAGE = 0x2c;

/** Takes a GIF of one picture apart (GIF89a). */
export function gifFrame(gif: Uint8Array): GifFrame {
  const view = new DataView(gif.buffer, gif.byteOffset, gif.byteLength);
  const tableBytes = (flags: number) => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  const shared = tableBytes(gif[10]!);
  let palette = gif.subarray(13, 13 + shared);
  for (let at = 13 + shared; at < gif.length; ) {
    if (gif[at] === EXTENSION) {
      at = endOfBlocks(gif, at + 2);
      continue;
    }
    if (gif[at] !== IMAGE) break;
    const own = tableBytes(gif[at + 9]!);
    if (own > 0) palette = gif.subarray(at + 10, at + 10 + own);
    const start = at + 10 + own;
    return {
      width: view.getUint16(at + 5, true),
      height: view.getUint16(at + 7, true),
      palette,
      pixels: gif.subarray(start, endOfBlocks(gif, start + 1)),
    };
  }
  throw new KandinskyError("file_corrupt", { what: "the GIF has no picture", seen: `${gif.length} bytes` });
}

function endOfBlocks(gif: Uint8Array, start: number): number {
  let at = start;
  while ((gif[at] ?? 0) !== 0) at += 1 + gif[at]!;
  return at + 1;
}

/** The beginning of an animated GIF; `loop` 0 repeats for ever, 1 plays once. */
export function gifHeader(width: number, height: number, loop: number): Uint8Array {
  const screen = [...latin("GIF89a"), ...word(width), ...word(height), 0x70, 0, 0];
  // The extension counts repetitions after the first time, so playing once is to leave it out.
  const repeat =
    loop === 1 ? [] : [EXTENSION, 0xff, 11, ...latin("NETSCAPE2.0"), 3, 1, ...word(Math.max(0, loop - 1)), 0];
  return Uint8Array.from([...screen, ...repeat]);
}

/** One frame of an animated GIF, shown for that many hundredths of a second. */
export function gifImage({ width, height, palette, pixels }: GifFrame, hundredths: number): Uint8Array {
  const control = [EXTENSION, 0xf9, 4, 0x04, ...word(hundredths), 0, 0];
  const depth = Math.log2(palette.length / 3) - 1;
  const image = [IMAGE, ...word(0), ...word(0), ...word(width), ...word(height), 0x80 | depth];
  const head = Uint8Array.from([...control, ...image]);
  const bytes = new Uint8Array(head.length + palette.length + pixels.length);
  bytes.set(head);
  bytes.set(palette, head.length);
  bytes.set(pixels, head.length + palette.length);
  return bytes;
}

/** A text in a GIF that viewers do not show (comment extension); ASCII only. */
export function gifComment(text: string): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(text.length / 255) }, (_, i) => {
    const part = latin(text.slice(255 * i, 255 * (i + 1)));
    return [part.length, ...part];
  });
  return Uint8Array.from([EXTENSION, COMMENT, ...blocks.flat(), 0]);
}

/** The texts of the comments in front of a GIF's first picture. */
export function gifComments(gif: Uint8Array): string[] {
  const flags = gif[10] ?? 0;
  const comments: string[] = [];
  let at = 13 + ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  while (gif[at] === EXTENSION) {
    const end = endOfBlocks(gif, at + 2);
    if (gif[at + 1] === COMMENT) comments.push(textOfBlocks(gif, at + 2));
    at = end;
  }
  return comments;
}

function textOfBlocks(gif: Uint8Array, start: number): string {
  let text = "";
  for (let at = start; (gif[at] ?? 0) !== 0; at += 1 + gif[at]!) {
    text += new TextDecoder("latin1").decode(gif.subarray(at + 1, at + 1 + gif[at]!));
  }
  return text;
}

export const GIF_END = Uint8Array.of(0x3b);

function word(value: number): [number, number] {
  return [value & 0xff, value >> 8];
}

function latin(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
