import { open } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import type { Stretch } from "./sample.ts";

/** The bytes of a stretch. Throws `file_missing`, and `file_corrupt` where the file has become shorter. */
export async function readStretch({ file, offset, size }: Stretch): Promise<Uint8Array> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot open a file of the data", where: file },
      { cause },
    );
  });
  try {
    const bytes = new Uint8Array(size);
    for (let done = 0; done < size; ) {
      const { bytesRead } = await handle.read(bytes, done, size - done, offset + done);
      if (bytesRead === 0) {
        throw new KandinskyError("file_corrupt", {
          what: "a file of the data has become shorter",
          where: file,
          seen: `${offset + done} bytes`,
          wanted: `at least ${offset + size}`,
        });
      }
      done += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}
