import { KandinskyError } from "../base/mod.ts";
import { ITEM_SIZE } from "../tensor/mod.ts";
import { DTYPE_OF, type TensorEntry } from "./entry.ts";
import { findJsonHazard } from "./json.ts";

/** Bytes of the header length that opens a safetensors file. */
export const LENGTH_BYTES = 8;
/** The format's own cap on a header. */
export const MAX_HEADER_BYTES = 100_000_000;
/** File object, tensor object, shape list. */
const HEADER_DEPTH = 3;

export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes of the whole file. */
  readonly fileSize: number;
}

/** What a header is checked against. */
export interface HeaderPlace {
  /** The file as the user named it, for messages. */
  readonly shown: string;
  /** Its real path, for the entries. */
  readonly file: string;
  readonly fileSize: number;
}

/**
 * Header length from the first eight bytes of a file.
 * Throws `file_corrupt` where the header cannot lie in the file or is longer than 100 MB.
 */
export function readHeaderLength(start: Uint8Array, place: HeaderPlace): number {
  if (start.length < LENGTH_BYTES) {
    throw corrupt(place, `a file of ${place.fileSize} bytes`, "a header length of 8 bytes first");
  }
  const length = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  const room = place.fileSize - LENGTH_BYTES;
  if (length > BigInt(room)) {
    throw corrupt(
      place,
      `a header of ${length} bytes${describeMagic(start)}`,
      `at most ${room}, the rest of the file`,
    );
  }
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw corrupt(place, `a header of ${length} bytes`, `at most ${MAX_HEADER_BYTES}`);
  }
  if (length < 2n) throw corrupt(place, `a header of ${length} bytes`, "a JSON object");
  return Number(length);
}

/**
 * Checks a safetensors header and returns its tensors in file order. Throws `file_corrupt` unless it is one
 * JSON object in UTF-8 without repeated keys, whose tensors fill the rest of the file without overlap or
 * hole, each with as many bytes as its shape and type need; `tensor_dtype` for a type that is not supported.
 * Source: the safetensors format, https://github.com/huggingface/safetensors#format
 */
export function parseHeader(header: Uint8Array, place: HeaderPlace): SafetensorsHeader {
  const fields = parseObject(header, place);
  const dataStart = LENGTH_BYTES + header.length;
  const entries: TensorEntry[] = [];
  let metadata: Readonly<Record<string, string>> = {};
  // Object.entries sees own keys only, and a Map holds any name: "__proto__" is a name like others here.
  for (const [name, value] of Object.entries(fields)) {
    if (name === "__metadata__") metadata = readMetadata(value, place);
    else entries.push(readEntry(name, value, dataStart, place));
  }
  entries.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkCover(entries, dataStart, place);
  return {
    entries: new Map(entries.map((entry) => [entry.name, entry])),
    metadata,
    fileSize: place.fileSize,
  };
}

function parseObject(header: Uint8Array, place: HeaderPlace): object {
  const wanted = "a JSON object in UTF-8 as header";
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch (cause) {
    throw corrupt(place, "bytes that are no UTF-8", wanted, cause);
  }
  if (!text.startsWith("{"))
    throw corrupt(place, `a header that begins with ${JSON.stringify(text[0])}`, wanted);
  const hazard = findJsonHazard(text, HEADER_DEPTH);
  if (hazard !== undefined) throw corrupt(place, `a header with ${hazard}`, wanted);
  try {
    return JSON.parse(text) as object;
  } catch (cause) {
    throw corrupt(place, "a header that is no JSON", wanted, cause);
  }
}

function readMetadata(value: unknown, place: HeaderPlace): Readonly<Record<string, string>> {
  const wanted = "an object of strings";
  if (!isObject(value)) throw corrupt(place, `__metadata__ ${show(value)}`, wanted);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw corrupt(place, `__metadata__ ${show(key)} ${show(text)}`, wanted);
  }
  return value as Readonly<Record<string, string>>;
}

function readEntry(name: string, value: unknown, dataStart: number, place: HeaderPlace): TensorEntry {
  const at = { ...place, shown: `${place.shown}, tensor ${show(name)}` };
  if (!isObject(value)) throw corrupt(at, show(value), "an object with dtype, shape and data_offsets");
  const { dtype: code, shape, data_offsets: offsets } = value as Readonly<Record<string, unknown>>;
  const dtype = typeof code === "string" ? DTYPE_OF.get(code) : undefined;
  if (dtype === undefined) {
    throw new KandinskyError("tensor_dtype", {
      what: "cannot read the safetensors file",
      where: at.shown,
      seen: `dtype ${show(code)}`,
      wanted: [...DTYPE_OF.keys()].join(", "),
    });
  }
  if (!isCounts(shape)) throw corrupt(at, `shape ${show(shape)}`, "a list of whole numbers from 0");
  if (!isCounts(offsets) || offsets.length !== 2) {
    throw corrupt(at, `data_offsets ${show(offsets)}`, "two whole numbers from 0");
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw corrupt(at, `data_offsets ${show(offsets)}`, "begin before end");
  // BigInt: a product of hostile dimensions must not round to a length that fits.
  const bytes = shape.reduce((size, dim) => size * BigInt(dim), BigInt(ITEM_SIZE[dtype]));
  if (bytes !== BigInt(end - begin)) {
    throw corrupt(at, `${end - begin} bytes`, `${bytes} for ${code as string} ${show(shape)}`);
  }
  return { name, dtype, shape, file: place.file, offset: dataStart + begin, byteLength: end - begin };
}

/** Sorted entries must lie end to end from the header to the end of the file. */
function checkCover(entries: readonly TensorEntry[], dataStart: number, place: HeaderPlace): void {
  let end = dataStart;
  let last = "the header";
  for (const entry of entries) {
    if (entry.offset !== end) {
      const fault = entry.offset < end ? "overlaps" : "leaves a hole after";
      throw corrupt(place, `tensor ${show(entry.name)} that ${fault} ${last}`, "tensors that lie end to end");
    }
    end += entry.byteLength;
    last = `tensor ${show(entry.name)}`;
  }
  if (end !== place.fileSize) {
    throw corrupt(place, `a file of ${place.fileSize} bytes`, `${end}, where ${last} ends`);
  }
}

function corrupt(place: HeaderPlace, seen: string, wanted: string, cause?: unknown): KandinskyError {
  return new KandinskyError(
    "file_corrupt",
    {
      what: "cannot read the safetensors file",
      where: place.shown,
      seen,
      wanted,
      hint: "the file is damaged or incomplete: download it again",
    },
    { cause },
  );
}

/** Names a file that is no safetensors file by its first bytes, since its header length then means nothing. */
function describeMagic(start: Uint8Array): string {
  if (start[0] === 0x50 && start[1] === 0x4b) return " (the file is a zip or PyTorch archive)";
  return start[0] === 0x80 ? " (the file is a Python pickle)" : "";
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** A value from a file, short enough for a message. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 120 ? `${text.slice(0, 120)}...` : text;
}
