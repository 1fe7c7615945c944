import { open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { QUANTIZATION_KEY } from "../quant/mod.ts";
import { stridesOf } from "../tensor/mod.ts";
import { boundaryOf, listFolder } from "./files.node.ts";
import { LENGTH_BYTES } from "./header.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";
import { readTorchHeader } from "./torch.node.ts";
import type { TorchEntry } from "./torch.ts";
import { readIndexed } from "./weights.node.ts";

const OPENING_BRACE = 0x7b;

/**
 * The tensors of a checkpoint in any format, told by its bytes and not by its name: a PyTorch file of either
 * format, safetensors, or the index of shards of these kinds. No value is read.
 * Throws `tensor_dtype` for quantised weights, and as `readTorchHeader`, `readSafetensorsHeader` and the index do.
 */
export async function readCheckpoint(path: string): Promise<readonly TorchEntry[]> {
  const start = await readStart(path);
  if (start[0] !== OPENING_BRACE) return readOne(path, path);
  const folder = dirname(path);
  const listing = await listFolder(folder, await boundaryOf(folder));
  return [...(await readIndexed(listing, basename(path), readOne)).values()];
}

async function readOne(path: string, where: string): Promise<readonly TorchEntry[]> {
  if (!isSafetensors(await readStart(path))) return (await readTorchHeader(path, where)).entries;
  const { entries, metadata } = await readSafetensorsHeader(path, where);
  if (QUANTIZATION_KEY in metadata) {
    throw new KandinskyError("tensor_dtype", {
      what: "these weights are quantised, and codes alone are no weights",
      where,
      wanted: "the file that they were made from",
    });
  }
  return [...entries.values()].map((entry) => ({ ...entry, strides: stridesOf(entry.shape) }));
}

/** A header length below 4 GiB and then an object: no pickle and no zip archive begins like this. */
function isSafetensors(start: Uint8Array): boolean {
  return start[LENGTH_BYTES] === OPENING_BRACE && start.subarray(4, LENGTH_BYTES).every((byte) => byte === 0);
}

async function readStart(path: string): Promise<Uint8Array> {
  const handle = await open(path, "r").catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot open the file of weights", where: path },
      { cause },
    );
  });
  try {
    const start = new Uint8Array(LENGTH_BYTES + 1);
    const about = await handle.stat();
    // A folder is told of where it is read as a file of tensors.
    if (!about.isFile()) return start.subarray(0, 0);
    const { bytesRead } = await handle.read(start, 0, start.length, 0);
    return start.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
