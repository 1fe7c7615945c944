import { open, realpath, stat } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { LENGTH_BYTES, parseHeader, readHeaderLength, type SafetensorsHeader } from "./header.ts";
import { readFully } from "./read.node.ts";

/**
 * Names, types, shapes and places of a safetensors file's tensors, in file order; no value is read.
 * `where` names the file in messages, where its path would say less (a blob of a hub cache).
 * Throws `file_missing`, `file_corrupt` or `tensor_dtype`.
 */
export async function readSafetensorsHeader(path: string, where: string = path): Promise<SafetensorsHeader> {
  const missing = (cause: unknown) => {
    throw new KandinskyError("file_missing", { what: "cannot open the safetensors file", where }, { cause });
  };
  const about = await stat(path).catch(missing);
  // Opening a pipe would wait for its writer.
  if (!about.isFile()) {
    throw new KandinskyError("file_corrupt", {
      what: "cannot read the safetensors file",
      where,
      seen: about.isDirectory() ? "a folder" : "no regular file",
      wanted: "a file",
    });
  }
  // Another process may remove it at any moment.
  const file = await realpath(path).catch(missing);
  const handle = await open(file, "r").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return missing(cause);
    throw cause;
  });
  try {
    const place = { shown: where, file, fileSize: (await handle.stat()).size };
    const start = new Uint8Array(Math.min(LENGTH_BYTES, place.fileSize));
    await readFully(handle, start, 0, where);
    const header = new Uint8Array(readHeaderLength(start, place));
    await readFully(handle, header, LENGTH_BYTES, where);
    return parseHeader(header, place);
  } finally {
    await handle.close();
  }
}
