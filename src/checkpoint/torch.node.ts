import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { ITEM_SIZE } from "../tensor/mod.ts";
import { type PickleValue, PLAIN, unpickle } from "./pickle.ts";
import { isKind } from "./pickle-opcodes.ts";
import { namedTensors, placeTensors, TORCH_RULES, type TorchEntry, type TorchTensor } from "./torch.ts";
import { readBytes, readZip } from "./zip.node.ts";

/** What a PyTorch file holds; no value of a tensor was read. */
export interface TorchHeader {
  /** Tensors in the order of the pickle; keys of nested dicts are joined by periods: "unet.in_layer.bias". */
  readonly entries: readonly TorchEntry[];
  /** With PyTorch 1.6 the zip format came; older files are a row of pickles. */
  readonly format: "zip" | "legacy";
  /** Bytes of the whole file. */
  readonly fileSize: number;
}

interface Place {
  readonly handle: FileHandle;
  readonly file: string;
  readonly fileSize: number;
  readonly shown: string;
}

/** The released U-Net has 168 kB. */
const MAX_PICKLE_BYTES = 32 * 2 ** 20;
const MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_VERSION = 1001;
const COUNT_BYTES = 8;

/**
 * Names, types, shapes and places of the tensors in a `.pt`, `.pth` or `.bin` file, whichever of PyTorch's two
 * formats it has. Its pickle is interpreted, never run: see `unpickle`. `where` names the file in messages.
 * Throws `file_missing`, `file_corrupt`, or `file_unsafe` naming the global or opcode that is not allowed.
 * Source: torch/serialization.py for the layout of both formats.
 */
export async function readTorchHeader(path: string, where: string = path): Promise<TorchHeader> {
  const what = "cannot open the PyTorch file";
  const about = await stat(path).catch((cause: unknown) => {
    throw new KandinskyError("file_missing", { what, where }, { cause });
  });
  // Opening a pipe would wait for its writer.
  if (!about.isFile()) {
    throw new KandinskyError("file_corrupt", { what, where, seen: "no regular file", wanted: "a file" });
  }
  const handle = await open(path, "r");
  try {
    const fileSize = (await handle.stat()).size;
    const place = { handle, file: await realpath(path), fileSize, shown: where };
    const start = await readBytes(handle, 0, Math.min(fileSize, 64), where);
    if (start[0] === 0x50 && start[1] === 0x4b) return await readZipFormat(place);
    if (start[0] === 0x80) return await readLegacyFormat(place);
    throw new KandinskyError("file_corrupt", { what, where, ...describeStart(start) });
  } finally {
    await handle.close();
  }
}

function describeStart(start: Uint8Array): { seen: string; wanted: string; hint?: string } {
  const wanted = "a zip archive or a pickle";
  if (start.length === 0) return { seen: "an empty file", wanted };
  const text = new TextDecoder("latin1").decode(start);
  if (text.startsWith("version https://git-lfs")) {
    return { seen: "a Git LFS pointer", wanted, hint: "run `git lfs pull` to get the file itself" };
  }
  return { seen: `a file that begins with ${JSON.stringify(text.slice(0, 12))}`, wanted };
}

async function readZipFormat(place: Place): Promise<TorchHeader> {
  const { handle, fileSize, shown } = place;
  const records = await readZip(handle, fileSize, shown);
  const root = [...records.keys()][0]?.split("/")[0] ?? "";
  const pickle = records.get(`${root}/data.pkl`);
  if (pickle === undefined) throw broken(shown, `no ${root}/data.pkl`, "an archive of PyTorch");
  if (pickle.size > MAX_PICKLE_BYTES)
    throw broken(shown, `a pickle of ${pickle.size} bytes`, `at most ${MAX_PICKLE_BYTES}`);
  const order = records.get(`${root}/byteorder`);
  if (order !== undefined) {
    const said = new TextDecoder().decode(
      await readBytes(handle, order.offset, Math.min(order.size, 16), shown),
    );
    if (said !== "little") throw broken(shown, `the byte order ${JSON.stringify(said)}`, '"little"');
  }
  const bytes = await readBytes(handle, pickle.offset, pickle.size, shown);
  const { value, end } = unpickle(bytes, 0, TORCH_RULES, shown);
  if (end !== bytes.length) throw broken(shown, `${bytes.length - end} bytes after the pickle`, "none");
  const tensors = namedTensors(value, shown);
  const offsets = new Map<string, number>();
  for (const { storage } of tensors.values()) {
    const record = records.get(`${root}/data/${storage.key}`);
    const wanted = storage.count * ITEM_SIZE[storage.dtype];
    if (record?.size !== wanted) {
      const seen = record === undefined ? "no record" : `a record of ${record.size} bytes`;
      throw broken(shown, `${seen} ${root}/data/${storage.key}`, `${wanted} bytes of ${storage.dtype}`);
    }
    offsets.set(storage.key, record.offset);
  }
  return { entries: placeTensors(tensors, offsets, place), format: "zip", fileSize };
}

/** Five pickles (magic number, version, system, object, keys), then each storage with its count. */
async function readLegacyFormat(place: Place): Promise<TorchHeader> {
  const { handle, fileSize, shown } = place;
  const head = await readBytes(handle, 0, Math.min(fileSize, MAX_PICKLE_BYTES), shown);
  let at = 0;
  const next = (rules: typeof PLAIN): PickleValue => {
    const { value, end } = unpickle(head, at, rules, shown);
    at = end;
    return value;
  };
  if (next(PLAIN) !== MAGIC)
    throw broken(shown, "a pickle without PyTorch's magic number", "a file of PyTorch");
  const version = next(PLAIN);
  if (version !== LEGACY_VERSION) throw broken(shown, `version ${String(version)}`, String(LEGACY_VERSION));
  const system = next(PLAIN);
  if (!isKind(system, "dict") || system.entries.get("little_endian") !== true) {
    throw broken(shown, "another byte order", "little_endian true");
  }
  const tensors = namedTensors(next(TORCH_RULES), shown);
  const offsets = await placeStorages(next(PLAIN), tensors, at, place);
  return { entries: placeTensors(tensors, offsets, place), format: "legacy", fileSize };
}

async function placeStorages(
  keys: PickleValue,
  tensors: ReadonlyMap<string, TorchTensor>,
  start: number,
  { handle, fileSize, shown }: Place,
): Promise<ReadonlyMap<string, number>> {
  const storages = new Map([...tensors.values()].map(({ storage }) => [storage.key, storage]));
  if (!isKind(keys, "list")) throw broken(shown, "storage keys of another form", "a list");
  const offsets = new Map<string, number>();
  let at = start;
  for (const key of keys.items) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined || offsets.has(storage.key)) {
      throw broken(shown, `the storage ${JSON.stringify(String(key))}`, "each storage of the tensors once");
    }
    const bytes = storage.count * ITEM_SIZE[storage.dtype];
    if (at + COUNT_BYTES + bytes > fileSize) {
      throw broken(
        shown,
        `a file of ${fileSize} bytes`,
        `${at + COUNT_BYTES + bytes} for storage ${storage.key}`,
      );
    }
    const count = new DataView((await readBytes(handle, at, COUNT_BYTES, shown)).buffer).getBigInt64(0, true);
    if (count !== BigInt(storage.count)) throw broken(shown, `${count} elements`, `${storage.count}`);
    offsets.set(storage.key, at + COUNT_BYTES);
    at += COUNT_BYTES + bytes;
  }
  const missing = [...storages.keys()].find((key) => !offsets.has(key));
  if (missing !== undefined) throw broken(shown, `no storage ${missing}`, "all storages of the tensors");
  if (at !== fileSize) throw broken(shown, `${fileSize - at} bytes after the last storage`, "none");
  return offsets;
}

function broken(where: string, seen: string, wanted: string): KandinskyError {
  return new KandinskyError("file_corrupt", { what: "cannot read the PyTorch file", where, seen, wanted });
}
