import type { FileHandle } from "node:fs/promises";

/** Boxes that hold other boxes, on the way to those that say when a film was made (ISO/IEC 14496-12). */
const PARENTS: ReadonlySet<string> = new Set(["moov", "trak", "mdia"]);
const TIMED: ReadonlySet<string> = new Set(["mvhd", "tkhd", "mdhd"]);

/** Writes 0 for the times of creation and change in an MP4, so that equal films are equal files. */
export async function forgetTimes(file: FileHandle): Promise<void> {
  await visit(file, 0, (await file.stat()).size);
}

async function visit(file: FileHandle, start: number, end: number): Promise<void> {
  for (let at = start; at + 8 <= end; ) {
    const head = new DataView((await file.read(new Uint8Array(16), 0, 16, at)).buffer.buffer);
    const name = String.fromCharCode(...Array.from({ length: 4 }, (_, i) => head.getUint8(4 + i)));
    // 1 stands for a length of 64 bits behind the name.
    const isLong = head.getUint32(0) === 1;
    const length = isLong ? Number(head.getBigUint64(8)) : head.getUint32(0);
    if (length < 8) return;
    const body = at + (isLong ? 16 : 8);
    if (PARENTS.has(name)) await visit(file, body, at + length);
    if (TIMED.has(name)) {
      // A version of 8 bits, flags of 24, then both times: of 32 bits in version 0, of 64 in version 1.
      const { buffer } = await file.read(new Uint8Array(1), 0, 1, body);
      await file.write(new Uint8Array(buffer[0] === 0 ? 8 : 16), 0, undefined, body + 4);
    }
    at += length;
  }
}
