import { randomUUID } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { KandinskyError, product } from "../base/mod.ts";
import { type DType, formatShape, ITEM_SIZE, type Tensor } from "../tensor/mod.ts";
import { NAME_OF } from "./entry.ts";
import { LENGTH_BYTES, MAX_HEADER_BYTES } from "./header.ts";
import { MAX_IO_BYTES } from "./read.node.ts";

/** The data section begins at a multiple of this, so that its values can be mapped as they lie. */
const ALIGNMENT = 64;

export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A tensor whose values are made while they are written, in row-major pieces. */
export interface StreamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: () => Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>;
}

/**
 * Writes a safetensors file: under a temporary name, to the disk, then renamed, so that `path` holds the old
 * file or the whole new one. Types with larger items come first and keep the given order otherwise, which
 * aligns every tensor to its item size. Equal input gives equal bytes.
 * Throws `tensor_unexpected` for a name given twice, `disk_full` or `output_unwritable`.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<NamedTensor>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const streamed = [...tensors].map(({ name, tensor }) => ({
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    values: () => [tensor.data],
  }));
  await writeSafetensorsStream(path, streamed, metadata, () => {});
}

/**
 * As `writeSafetensors`, with two pieces in memory: one is written while the next is made, so a piece may not be
 * changed after it was given. `onWritten` gets the bytes of each.
 * Throws `tensor_shape` where a tensor's pieces are not as many values as its shape says; what `values` throws
 * comes out unchanged. Either way no file is left.
 */
export async function writeSafetensorsStream(
  path: string,
  tensors: readonly StreamedTensor[],
  metadata: Readonly<Record<string, string>>,
  onWritten: (bytes: number) => void,
): Promise<void> {
  const ordered = [...tensors].sort((a, b) => ITEM_SIZE[b.dtype] - ITEM_SIZE[a.dtype]);
  const header = composeHeader(path, ordered, metadata);
  const temporary = `${path}.${randomUUID()}.tmp`;
  const handle = await onDisk(path, () => open(temporary, "wx"));
  try {
    try {
      await onDisk(path, () => writeFully(handle, header));
      for (const one of ordered) await writeValues(handle, path, one, onWritten);
      await onDisk(path, () => handle.sync());
    } finally {
      await handle.close();
    }
    await onDisk(path, () => rename(temporary, path));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}

/** The pieces of one tensor must make up its shape, or all tensors after it would lie elsewhere than said. */
async function writeValues(
  handle: FileHandle,
  path: string,
  { name, dtype, shape, values }: StreamedTensor,
  onWritten: (bytes: number) => void,
): Promise<void> {
  const wanted = product(shape) * ITEM_SIZE[dtype];
  let seen = 0;
  let pending: Promise<unknown> = Promise.resolve();
  try {
    for await (const { buffer, byteOffset, byteLength } of values()) {
      await pending;
      pending = onDisk(path, () => writeFully(handle, new Uint8Array(buffer, byteOffset, byteLength))).then(
        () => onWritten(byteLength),
      );
      // Its failure is met by the next wait for it; until then nobody may be listening.
      pending.catch(() => {});
      seen += byteLength;
    }
  } finally {
    // The file may be closed only when nothing is written any more; what the values threw comes first.
    await Promise.allSettled([pending]);
  }
  await pending;
  if (seen === wanted) return;
  throw new KandinskyError("tensor_shape", {
    what: "cannot write the safetensors file",
    where: `${path}, tensor "${name}"`,
    seen: `${seen} bytes`,
    wanted: `${wanted} for ${dtype}${formatShape(shape)}`,
  });
}

function composeHeader(
  path: string,
  tensors: readonly Pick<StreamedTensor, "name" | "dtype" | "shape">[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // A Map and not an object: names such as "__proto__" must come out as they are.
  const fields = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) fields.set("__metadata__", metadata);
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    if (fields.has(name) || name === "__metadata__") {
      throw new KandinskyError("tensor_unexpected", {
        what: "cannot write the safetensors file",
        where: path,
        seen: name === "__metadata__" ? "a tensor named __metadata__" : `the tensor name "${name}" twice`,
      });
    }
    const end = at + product(shape) * ITEM_SIZE[dtype];
    fields.set(name, { dtype: NAME_OF[dtype], shape, data_offsets: [at, end] });
    at = end;
  }
  const json = [...fields].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const text = new TextEncoder().encode(`{${json.join(",")}}`);
  const length = Math.ceil((LENGTH_BYTES + text.length) / ALIGNMENT) * ALIGNMENT;
  if (length > MAX_HEADER_BYTES) {
    throw new KandinskyError("file_corrupt", {
      what: "cannot write the safetensors file",
      where: path,
      seen: `a header of ${length} bytes`,
      wanted: `at most ${MAX_HEADER_BYTES}`,
    });
  }
  const header = new Uint8Array(length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length - LENGTH_BYTES), true);
  header.set(text, LENGTH_BYTES);
  return header;
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, Math.min(bytes.length - done, MAX_IO_BYTES))).bytesWritten;
  }
}

/** What the file system refuses is said of `path`; what comes from elsewhere passes as it is. */
async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw describe(path, cause);
  }
}

function describe(path: string, cause: unknown): KandinskyError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new KandinskyError(
    code === "ENOSPC" || code === "EDQUOT" ? "disk_full" : "output_unwritable",
    { what: "cannot write the safetensors file", where: path, seen: code ?? message },
    { cause },
  );
}
