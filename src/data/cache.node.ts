import { createHash, randomUUID } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import {
  type NamedTensor,
  readSafetensorsHeader,
  readTensor,
  type TensorEntry,
  writeSafetensors,
} from "../checkpoint/mod.ts";
import type { Tensor } from "../tensor/mod.ts";

/** Results of a frozen network by what went into it, on disk. */
export interface TensorCache {
  /** What is kept for a key, or undefined. */
  get(key: string): Promise<Tensor | undefined>;
  has(key: string): boolean;
  /** Keeps values; they reach the disk by `flush`, or once they are `SHARD_BYTES` together. */
  put(key: string, value: Tensor): Promise<void>;
  /** Writes what is not on disk yet, as one file, whole or not at all. */
  flush(): Promise<void>;
  /** Values on disk and in memory. */
  readonly size: number;
  /** Files that could not be read when the cache was opened; their values are made anew. */
  readonly damaged: readonly string[];
}

/** Values are gathered to files of about this size. */
export const SHARD_BYTES = 64 * 2 ** 20;

/**
 * The key of a latent: of the picture's bytes as they lie in the file and of all that was done to it before encoding.
 * Two sizes or cuts of one picture have two keys, so a change of resolution can never find an old latent.
 */
export function latentKey(
  bytes: Uint8Array,
  made: {
    readonly width: number;
    readonly height: number;
    readonly across: number;
    readonly down: number;
    readonly flip: boolean;
    readonly dtype: string;
  },
): string {
  const { width, height, across, down, flip, dtype } = made;
  const how = JSON.stringify([width, height, across, down, flip, dtype]);
  return createHash("sha256").update(bytes).update(how).digest("hex");
}

/** The key of a text's embedding: of its token ids, which is what the encoder sees, and the stored type. */
export function textKey(ids: readonly number[], dtype: string): string {
  return createHash("sha256")
    .update(JSON.stringify([dtype, ids]))
    .digest("hex");
}

/**
 * Opens the cache of one encoder in a folder; `encoder` is a hash of its weights, and values of any other encoder
 * are not seen. A file that is damaged is told of and left out. Several processes may write into one folder.
 */
export async function openTensorCache(folder: string, encoder: string): Promise<TensorCache> {
  if (!/^[0-9a-f]{8,}$/.test(encoder)) {
    throw new KandinskyError("option_invalid", {
      what: "cannot open the cache",
      where: "encoder",
      seen: encoder,
      wanted: "a hash of the encoder's weights in hex",
    });
  }
  await mkdir(folder, { recursive: true });
  const prefix = `cache-${encoder.slice(0, 16)}-`;
  const entries = new Map<string, TensorEntry>();
  const damaged: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    if (!name.startsWith(prefix) || !name.endsWith(".safetensors")) continue;
    try {
      const header = await readSafetensorsHeader(join(folder, name));
      if (header.metadata["encoder"] !== encoder) continue;
      for (const [key, entry] of header.entries) entries.set(key, entry);
    } catch (error) {
      if (!(error instanceof KandinskyError)) throw error;
      damaged.push(name);
    }
  }
  let pending = new Map<string, Tensor>();
  let bytes = 0;
  const flush = async () => {
    if (pending.size === 0) return;
    const tensors = [...pending].map(([name, tensor]): NamedTensor => ({ name, tensor }));
    const path = join(folder, `${prefix}${randomUUID()}.safetensors`);
    await writeSafetensors(path, tensors, { encoder });
    const header = await readSafetensorsHeader(path);
    for (const [key, entry] of header.entries) entries.set(key, entry);
    pending = new Map();
    bytes = 0;
  };
  return {
    async get(key) {
      const entry = entries.get(key);
      return pending.get(key) ?? (entry === undefined ? undefined : await readTensor(entry));
    },
    has: (key) => pending.has(key) || entries.has(key),
    async put(key, value) {
      if (pending.has(key) || entries.has(key)) return;
      pending.set(key, value);
      bytes += value.data.byteLength;
      if (bytes >= SHARD_BYTES) await flush();
    },
    flush,
    get size() {
      return entries.size + pending.size;
    },
    damaged,
  };
}

/** Deletes the values of all encoders but these from a folder of caches; gives the names of the files. */
export async function removeStaleCaches(folder: string, encoders: readonly string[]): Promise<string[]> {
  const kept = encoders.map((encoder) => `cache-${encoder.slice(0, 16)}-`);
  const stale = (await readdir(folder)).filter(
    (name) =>
      /^cache-[0-9a-f]{8,16}-.*\.safetensors$/.test(name) && !kept.some((prefix) => name.startsWith(prefix)),
  );
  for (const name of stale) await rm(join(folder, name));
  return stale;
}
