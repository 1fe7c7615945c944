import type { FileHandle } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";

/** Largest single read or write: one system call takes at most 2 GiB. */
export const MAX_IO_BYTES = 2 ** 30;

/** Fills `target` from byte `position` of an open file; `file_corrupt` where the file ends before. */
export async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  where: string,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const length = Math.min(target.length - done, MAX_IO_BYTES);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) {
      throw new KandinskyError("file_corrupt", {
        what: "cannot read the file",
        where,
        seen: `its end at byte ${position + done}`,
        wanted: `${position + target.length} bytes`,
        hint: "the file changed while it was read",
      });
    }
    done += bytesRead;
  }
}
