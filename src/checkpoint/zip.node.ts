import type { FileHandle } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { readFully } from "./read.node.ts";
import {
  findDirectory,
  LOCAL_HEADER_BYTES,
  parseDirectory,
  parseLocalHeader,
  TAIL_BYTES,
  type ZipRecord,
} from "./zip.ts";

/** A record whose values were found. */
export interface PlacedRecord {
  readonly size: number;
  /** Byte offset of the first value in the file. */
  readonly offset: number;
}

/**
 * The records of a stored zip archive by name, in which no two overlap. Nothing is unpacked.
 * Throws `file_corrupt`.
 */
export async function readZip(
  handle: FileHandle,
  fileSize: number,
  where: string,
): Promise<ReadonlyMap<string, PlacedRecord>> {
  const tail = await readBytes(
    handle,
    Math.max(0, fileSize - TAIL_BYTES),
    Math.min(fileSize, TAIL_BYTES),
    where,
  );
  const directory = findDirectory(tail, fileSize, where);
  const central = await readBytes(handle, directory.offset, directory.size, where);
  const records = parseDirectory(central, directory, where).sort((a, b) => a.header - b.header);
  const placed = new Map<string, PlacedRecord>();
  let end = 0;
  let before = "";
  for (const record of records) {
    const offset = await findValues(handle, record, where);
    if (record.header < end || offset + record.size > directory.offset) {
      throw new KandinskyError("file_corrupt", {
        what: "cannot read the zip archive",
        where,
        seen: `"${record.name}" that overlaps ${before === "" ? "the directory" : `"${before}"`}`,
        wanted: "records one after the other",
      });
    }
    end = offset + record.size;
    before = record.name;
    placed.set(record.name, { size: record.size, offset });
  }
  return placed;
}

async function findValues(handle: FileHandle, record: ZipRecord, where: string): Promise<number> {
  const length = LOCAL_HEADER_BYTES + Buffer.byteLength(record.name);
  return parseLocalHeader(await readBytes(handle, record.header, length, where), record, where);
}

/** Bytes of an open file; throws `file_corrupt` where it ends before. */
export async function readBytes(handle: FileHandle, offset: number, length: number, where: string) {
  const bytes = new Uint8Array(length);
  await readFully(handle, bytes, offset, where);
  return bytes;
}
