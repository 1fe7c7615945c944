import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { KandinskyError } from "../base/mod.ts";

/** A sample to write: its key and its members by extension, in this order. */
export interface WrittenSample {
  /** Letters, digits, `_` and `-`: a dot would end it, and a slash would make folders. */
  readonly key: string;
  readonly members: Readonly<Record<string, Uint8Array | string>>;
}

/**
 * Writes a WebDataset shard: under another name, to the disk, then renamed, so that there is a whole shard or none.
 * Equal samples give equal bytes. Throws `output_exists` where the name is taken, `option_invalid` for a key that
 * readers would part, `disk_full` or `output_unwritable`; what `samples` throws comes out unchanged.
 */
export async function writeShard(path: string, samples: AsyncIterable<WrittenSample>): Promise<void> {
  if (
    await stat(path).then(
      () => true,
      () => false,
    )
  ) {
    throw new KandinskyError("output_exists", {
      what: "cannot write the shard",
      where: path,
      hint: "name another folder, or remove it",
    });
  }
  const temporary = join(dirname(path), `.kandinsky-${randomUUID()}.tmp`);
  const tar = pack();
  try {
    const writing = onDisk(path, () => pipeline(tar, createWriteStream(temporary, { flags: "wx" })));
    const filling = fill(tar, samples).catch((error: unknown) => {
      tar.destroy();
      throw error;
    });
    // The reason for a broken stream is whichever failed first; a cut stream is only what follows from it.
    const [filled, written] = await Promise.allSettled([filling, writing]);
    if (filled.status === "rejected" && !isBroken(filled.reason)) throw filled.reason;
    if (written.status === "rejected") throw written.reason;
    await onDisk(path, async () => {
      const handle = await open(temporary, "r+");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

const BROKEN = new Error("the shard's file is closed");

function isBroken(error: unknown): boolean {
  return error === BROKEN;
}

async function fill(tar: ReturnType<typeof pack>, samples: AsyncIterable<WrittenSample>): Promise<void> {
  const closed = new Promise<never>((_, reject) => tar.once("close", () => reject(BROKEN)));
  closed.catch(() => {});
  for await (const { key, members } of samples) {
    if (!/^[\w-]+$/.test(key)) {
      throw new KandinskyError("option_invalid", {
        what: "cannot write the sample",
        where: "key",
        seen: JSON.stringify(key),
        wanted: "letters, digits, _ and -",
      });
    }
    for (const [extension, content] of Object.entries(members)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      const header = { name: `${key}.${extension}`, size: bytes.length, mode: 0o644, mtime: new Date(0) };
      const written = new Promise<void>((resolve, reject) => {
        const sink = tar.entry(header, (error) => (error ? reject(error) : resolve()));
        sink.end(bytes);
      });
      await Promise.race([written, closed]);
    }
  }
  tar.finalize();
}

async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new KandinskyError(
      code === "ENOSPC" || code === "EDQUOT" ? "disk_full" : "output_unwritable",
      { what: "cannot write the shard", where: path, seen: code ?? message },
      { cause },
    );
  }
}
