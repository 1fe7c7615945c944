import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";

const READ_BYTES = 4 * 2 ** 20;
const SHA256_DIGITS = 64;

/** The hash of which `oid` is one: sha256 for large files, git's of a blob of `size` bytes for small ones. */
export function startHash(oid: string, size: number) {
  if (oid.length === SHA256_DIGITS) return createHash("sha256");
  return createHash("sha1").update(`blob ${size}\0`);
}

/** Whether the bytes are those that a hub names so. */
export function isBlob(oid: string, bytes: Uint8Array): boolean {
  return startHash(oid, bytes.length).update(bytes).digest("hex") === oid;
}

/** Whether the first `size` bytes of an open file are those that a hub names so; tells how far it has read. */
export async function isBlobFile(
  handle: Pick<FileHandle, "read">,
  oid: string,
  size: number,
  onRead: (bytes: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const hash = startHash(oid, size);
  const buffer = new Uint8Array(Math.min(size, READ_BYTES));
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at);
    if (bytesRead === 0) return false;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
    onRead(bytesRead);
  }
  return hash.digest("hex") === oid;
}
