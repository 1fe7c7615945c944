import { KandinskyError } from "../base/mod.ts";

/** A stored (uncompressed) record of a zip archive. */
export interface ZipRecord {
  readonly name: string;
  readonly size: number;
  /** Byte offset of its local header. */
  readonly header: number;
}

/** Where the central directory lies. */
export interface ZipDirectory {
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

/** Bytes at the end of a file in which the end record is looked for: a comment has at most 65535. */
export const TAIL_BYTES = 22 + 65535 + 20 + 56;
export const LOCAL_HEADER_BYTES = 30;
const MAX_RECORDS = 200_000;
const MAX_DIRECTORY_BYTES = 32 * 2 ** 20;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const ZIP64_FIELD = 1;
const FULL_32 = 0xffffffff;
const FULL_16 = 0xffff;
/** A data descriptor follows; names are UTF-8. Every other flag changes what the bytes mean. */
const HARMLESS_FLAGS = 0x0808;

/** Throws `file_corrupt`; `where` names the file. */
function refuse(where: string, seen: string, wanted: string): never {
  throw new KandinskyError("file_corrupt", { what: "cannot read the zip archive", where, seen, wanted });
}

/** The central directory's place, from the last bytes of a file of `fileSize` bytes. Throws `file_corrupt`. */
export function findDirectory(tail: Uint8Array, fileSize: number, where: string): ZipDirectory {
  const view = viewOf(tail);
  const base = fileSize - tail.length;
  let end = tail.length - 22;
  while (
    end >= 0 &&
    !(view.getUint32(end, true) === END && end + 22 + view.getUint16(end + 20, true) === tail.length)
  ) {
    end--;
  }
  if (end < 0) return refuse(where, "no end record", "a whole archive (is the download complete?)");
  const is64 = end >= 76 && view.getUint32(end - 20, true) === LOCATOR_64;
  const found = is64 ? directory64(view, end, base, where) : directory32(view, end);
  const { offset, size, count, disks, stop } = { stop: base + end, ...found };
  if (disks !== 0) refuse(where, "an archive in several parts", "one file");
  if (count > MAX_RECORDS || size > MAX_DIRECTORY_BYTES) {
    refuse(where, `${count} records in a directory of ${size} bytes`, "a state dict");
  }
  if (offset + size !== stop) {
    refuse(where, `a directory at ${offset} of ${size} bytes`, `one that ends at ${stop}`);
  }
  return { offset, size, count };
}

function directory32(view: DataView, end: number) {
  return {
    disks: view.getUint16(end + 4, true) | view.getUint16(end + 6, true),
    count: view.getUint16(end + 10, true),
    size: view.getUint32(end + 12, true),
    offset: view.getUint32(end + 16, true),
  };
}

function directory64(view: DataView, end: number, base: number, where: string) {
  const start = end - 76;
  if (
    view.getUint32(start, true) !== END_64 ||
    view.getBigUint64(start + 4, true) !== 44n ||
    view.getBigUint64(end - 12, true) !== BigInt(base + start)
  ) {
    refuse(where, "a broken zip64 end record", "one right before its locator");
  }
  return {
    disks: view.getUint32(start + 16, true) | view.getUint32(start + 20, true),
    count: Number(view.getBigUint64(start + 32, true)),
    size: Number(view.getBigUint64(start + 40, true)),
    offset: Number(view.getBigUint64(start + 48, true)),
    stop: base + start,
  };
}

/**
 * The records of a central directory. Throws `file_corrupt` unless all are stored and plain, have a name of
 * their own below one folder, and lie before the directory.
 */
export function parseDirectory(bytes: Uint8Array, directory: ZipDirectory, where: string): ZipRecord[] {
  const view = viewOf(bytes);
  const names = new Set<string>();
  const records: ZipRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== CENTRAL) {
      return refuse(where, `no record at byte ${at} of the directory`, "a record");
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((i) =>
      view.getUint16(at + i, true),
    ) as [number, number, number];
    const extra = at + 46 + nameLength;
    const next = extra + extraLength + commentLength;
    if (next > bytes.length) refuse(where, "a record past the directory", "a whole record");
    const name = readName(bytes.subarray(at + 46, extra), where);
    if (names.has(name)) refuse(where, `two records named "${name}"`, "each name once");
    names.add(name);
    checkStored(view.getUint16(at + 8, true), view.getUint16(at + 10, true), name, where);
    const { sizes, header } = placeOf(view, at, extra, extraLength, name, where);
    if (sizes[0] !== sizes[1]) refuse(where, `"${name}" of ${sizes[0]} and ${sizes[1]} bytes`, "equal sizes");
    if (header + LOCAL_HEADER_BYTES + sizes[0] > directory.offset) {
      refuse(
        where,
        `"${name}" of ${sizes[0]} bytes at ${header}`,
        `a record before byte ${directory.offset}`,
      );
    }
    records.push({ name, size: sizes[0], header });
    at = next;
  }
  if (records.length !== directory.count) {
    refuse(where, `${records.length} records`, `${directory.count}, as the end record says`);
  }
  const roots = new Set(records.map(({ name }) => name.split("/")[0]!));
  if (roots.size > 1) refuse(where, `the top folders ${[...roots].slice(0, 5).join(", ")}`, "one");
  return records;
}

function checkStored(flags: number, method: number, name: string, where: string): void {
  if ((flags & 1) !== 0) refuse(where, `"${name}" encrypted`, "plain records");
  if ((flags & ~HARMLESS_FLAGS) !== 0) refuse(where, `"${name}" with flags ${flags}`, "plain records");
  if (method !== 0) refuse(where, `"${name}" compressed (method ${method})`, "stored records");
}

/** Sizes (compressed, plain) and local header, which zip64 keeps in an extra field where they are all ones. */
function placeOf(view: DataView, at: number, extra: number, length: number, name: string, where: string) {
  const fields = [24, 20, 42].map((i) => view.getUint32(at + i, true));
  const large = fields.some((value) => value === FULL_32) ? zip64Field(view, extra, length) : undefined;
  let next = large?.start ?? 0;
  const [plain, stored, header] = fields.map((value) => {
    if (value !== FULL_32) return value;
    if (large === undefined || next + 8 > large.end)
      refuse(where, `"${name}" without a size`, "a zip64 field");
    next += 8;
    return Number(view.getBigUint64(next - 8, true));
  }) as [number, number, number];
  if (view.getUint16(at + 34, true) !== 0 && view.getUint16(at + 34, true) !== FULL_16) {
    refuse(where, `"${name}" on another disk`, "one file");
  }
  return { sizes: [stored, plain] as const, header };
}

function zip64Field(view: DataView, start: number, length: number) {
  for (let at = start; at + 4 <= start + length; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (end > start + length) return undefined;
    if (view.getUint16(at, true) === ZIP64_FIELD) return { start: at + 4, end };
    at = end;
  }
  return undefined;
}

function readName(bytes: Uint8Array, where: string): string {
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse(where, "a record name that is no UTF-8", "UTF-8");
  }
  const parts = name.split("/");
  if (/[\\:\p{Cc}]/u.test(name) || parts.length < 2 || parts.some((part) => ["", ".", ".."].includes(part))) {
    return refuse(where, `the record name ${JSON.stringify(name)}`, "a path inside one folder");
  }
  return name;
}

/**
 * First byte of a record's values, from its local header (30 bytes and the name). Throws `file_corrupt`
 * where the header disagrees with the directory.
 */
export function parseLocalHeader(bytes: Uint8Array, record: ZipRecord, where: string): number {
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== LOCAL) {
    refuse(where, `no local header of "${record.name}" at ${record.header}`, "one");
  }
  const flags = view.getUint16(6, true);
  checkStored(flags, view.getUint16(8, true), record.name, where);
  const nameLength = view.getUint16(26, true);
  const name = new TextDecoder().decode(bytes.subarray(LOCAL_HEADER_BYTES));
  if (nameLength !== bytes.length - LOCAL_HEADER_BYTES || name !== record.name) {
    refuse(where, `"${record.name}" under another name at ${record.header}`, "one name");
  }
  for (const size of [view.getUint32(18, true), view.getUint32(22, true)]) {
    const isElsewhere = size === FULL_32 || (size === 0 && (flags & 8) !== 0);
    if (size !== record.size && !isElsewhere) {
      refuse(where, `"${record.name}" of ${size} bytes in its local header`, `${record.size}`);
    }
  }
  return record.header + LOCAL_HEADER_BYTES + nameLength + view.getUint16(28, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
