import { constants } from "node:fs";
import { type FileHandle, rename, rm } from "node:fs/promises";
import type { StoreFiles } from "./world.node.ts";

const MAGIC = 0x4b33_5054;
/** The mark and the size of parts, in front of one counter for each part. */
const HEAD_WORDS = 2;
const WORD = 4;

/** Bytes `start` to `end` of a file, which one connection fetches. */
export interface Part {
  readonly start: number;
  readonly end: number;
  /** The first byte that is missing. */
  readonly next: number;
}

/**
 * A file that is being fetched in parts. Behind its bytes lies one counter for each part, so that it tells by
 * itself how far each one got, whenever the program was ended.
 */
export interface PartialFile {
  readonly handle: FileHandle;
  /** Bytes that were there when it was opened. */
  readonly before: number;
  /** Parts that lack something. */
  readonly missing: () => readonly Part[];
  /** Puts bytes into their place and then counts them; they go on from what is there. Returns how many are new. */
  readonly write: (position: number, bytes: Uint8Array) => Promise<number>;
  /** Takes the counters off and gives the file its name, on the disk for good. */
  readonly finish: (target: string) => Promise<void>;
  readonly close: () => Promise<void>;
  /** Throws the bytes away. */
  readonly discard: () => Promise<void>;
}

/** Opens or begins the file at `path` whose content will have `size` bytes, in parts of `partBytes`. */
export async function openPartial(
  path: string,
  size: number,
  files: StoreFiles,
  partBytes: number,
): Promise<PartialFile> {
  const handle = await files.open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    const counters = await readCounters(handle, size, partBytes);
    return partialFile(path, handle, size, partBytes, counters);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function partialFile(
  path: string,
  handle: FileHandle,
  size: number,
  partBytes: number,
  counters: Uint32Array,
): PartialFile {
  const wordOf = (part: number) => size + WORD * (HEAD_WORDS + part);
  const missing = () => {
    const parts = Array.from(counters, (done, index): Part => {
      const start = index * partBytes;
      return { start, end: Math.min(start + partBytes, size), next: start + done };
    });
    return parts.filter(({ next, end }) => next < end);
  };
  return {
    handle,
    before: counters.reduce((sum, done) => sum + done, 0),
    missing,
    write: async (position, bytes) => {
      await writeFully(handle, bytes, position);
      const end = position + bytes.length;
      let fresh = 0;
      for (let part = Math.floor(position / partBytes); part * partBytes < end; part++) {
        const done = Math.min(end - part * partBytes, partBytes);
        if (done <= counters[part]!) continue;
        fresh += done - counters[part]!;
        counters[part] = done;
        await writeFully(handle, words([done]), wordOf(part));
      }
      return fresh;
    },
    finish: async (target) => {
      await handle.truncate(size);
      await handle.sync();
      await handle.close();
      await rename(path, target);
    },
    close: () => handle.close(),
    discard: async () => {
      await handle.close();
      await rm(path, { force: true });
    },
  };
}

/** How far each part is; a file that is not of this shape begins anew. */
async function readCounters(handle: FileHandle, size: number, partBytes: number): Promise<Uint32Array> {
  const count = Math.ceil(size / partBytes);
  const lengthOf = (part: number) => Math.min(partBytes, size - part * partBytes);
  const { size: found } = await handle.stat();
  // Ended between taking the counters off and taking the name.
  if (found === size && size > 0) return Uint32Array.from({ length: count }, (_, part) => lengthOf(part));
  const tail = new Uint32Array(HEAD_WORDS + count);
  if (found === size + tail.byteLength) {
    await handle.read(new Uint8Array(tail.buffer), 0, tail.byteLength, size);
    const counters = tail.subarray(HEAD_WORDS);
    const isOurs = tail[0] === MAGIC && tail[1] === partBytes;
    if (isOurs && counters.every((done, part) => done <= lengthOf(part))) return counters;
  }
  await handle.truncate(0);
  await handle.truncate(size + tail.byteLength);
  await writeFully(handle, words([MAGIC, partBytes, ...new Uint32Array(count)]), size);
  return new Uint32Array(count);
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
