import { createHash } from "node:crypto";
import { mkdir, readdir, rm, rmdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { fingerprint } from "../graph/mod.ts";
import { type T5Config, t5Graph } from "../models/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";
import { fingerprintOf } from "./fingerprint.node.ts";
import { type BoundPart, PACK_FOLDER, TEXT_FOLDER } from "./packing.node.ts";
import type { Precision } from "./plan.ts";
import type { TextPlan, TextRow } from "./text.ts";

/** About a thousand short prompts of the released model. */
const MAX_BYTES = 512e6;

const NAME = "hidden";
const EXTENSION = ".safetensors";

/**
 * Encoder states of texts, kept beside the model from run to run. An entry's name says all that its values depend
 * on, so none has to be invalidated; one whose values are not those that were written counts as absent. Entries are
 * written whole or not at all, so processes may share the folder. What was not used for longest makes room.
 */
export class TextCache {
  readonly #folder: string | undefined;
  readonly #maxBytes: number;

  /** `root`: the model's folder. `keep` false: finds nothing and keeps nothing. */
  constructor(root: string, keep: boolean, maxBytes = MAX_BYTES) {
    this.#folder = keep ? join(root, PACK_FOLDER, TEXT_FOLDER) : undefined;
    this.#maxBytes = maxBytes;
  }

  /** States [1,L,D] of one text under a key; undefined where they are not there or damaged. */
  async find(key: string, shape: readonly number[]): Promise<Tensor<"float32"> | undefined> {
    if (this.#folder === undefined) return undefined;
    const file = join(this.#folder, key + EXTENSION);
    try {
      const { entries, metadata } = await readSafetensorsHeader(file);
      const entry = entries.get(NAME);
      if (entry?.dtype !== "float32" || entry.shape.join() !== shape.join()) return undefined;
      const found = (await readTensor(entry)) as Tensor<"float32">;
      if (hashOf(found) !== metadata["sha256"]) return undefined;
      const now = new Date();
      // Only for the order in which entries go.
      await utimes(file, now, now).catch(() => {});
      return found;
    } catch (error) {
      // Another process may remove it while it is read.
      if (error instanceof KandinskyError || (error as NodeJS.ErrnoException).code !== undefined)
        return undefined;
      throw error;
    }
  }

  /** Keeps states under a key. A folder or disk that does not take them is no failure: they are computed again. */
  async keep(key: string, states: Tensor<"float32">): Promise<void> {
    if (this.#folder === undefined || states.data.byteLength > this.#maxBytes) return;
    const file = join(this.#folder, key + EXTENSION);
    const made = await mkdir(this.#folder, { recursive: true }).catch(() => false as const);
    if (made === false) return;
    try {
      await writeSafetensors(file, [{ name: NAME, tensor: states }], { sha256: hashOf(states) });
    } catch (error) {
      if (error instanceof KandinskyError) return;
      throw error;
    }
    await this.#makeRoom();
  }

  async #makeRoom(): Promise<void> {
    const files = await filesIn(this.#folder!);
    let bytes = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (bytes <= this.#maxBytes) return;
      await rm(path, { force: true });
      bytes -= size;
    }
  }
}

/**
 * The key of each row of a plan. States depend on the encoder's weights, their precision and its graph, on where and with how many threads
 * it runs (sums are rounded otherwise there), on the token ids, on how many of them are attended and on the padding.
 * The tokenizer shows in the ids.
 */
export async function textKeys(
  { device, threads }: Engine,
  part: BoundPart,
  config: T5Config,
  { rows, paddedLength }: TextPlan,
  precision: Precision,
): Promise<string[]> {
  const graph = t5Graph(config, 1, paddedLength, { from: 0, to: config.numLayers });
  const encoder = [await fingerprintOf([part]), fingerprint(graph), precision, device, threads, paddedLength];
  return rows.map(({ ids, attended }: TextRow) =>
    createHash("sha256")
      .update([...encoder, attended, ids.join()].join("\n"))
      .digest("hex")
      .slice(0, KEY_DIGITS),
  );
}

const KEY_DIGITS = 32;

/** The texts of a plan that are known, and how to encode the others. */
export interface FoundTexts {
  readonly known: number;
  readonly missing: number;
  /** States [N,L,D] of all rows; `encode` is called with a plan of the missing ones, where there are any. */
  complete(encode: (plan: TextPlan) => Promise<Tensor<"float32">>): Promise<Tensor<"float32">>;
}

/** Looks for the rows of a plan. What is encoded then is kept. */
export async function findTexts(
  cache: TextCache,
  keys: readonly string[],
  plan: TextPlan,
  width: number,
): Promise<FoundTexts> {
  const shape = [1, plan.paddedLength, width];
  const found = await Promise.all(keys.map((key) => cache.find(key, shape)));
  const missing = keys.flatMap((_, i) => (found[i] === undefined ? [i] : []));
  return {
    known: keys.length - missing.length,
    missing: missing.length,
    async complete(encode) {
      const rows = [...found];
      if (missing.length > 0) {
        const hidden = await encode({ ...plan, rows: missing.map((i) => plan.rows[i]!) });
        for (const [k, i] of missing.entries()) {
          rows[i] = row(hidden, k);
          await cache.keep(keys[i]!, rows[i]!);
        }
      }
      return concatRows(rows.map((one) => one!));
    },
  };
}

function hashOf({ data }: Tensor<"float32">): string {
  return createHash("sha256")
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest("hex");
}

async function filesIn(folder: string) {
  const names = await readdir(folder).catch(() => []);
  const found = names.map(async (name) => {
    const path = join(folder, name);
    // Another process may remove it meanwhile.
    const stats = await stat(path).catch(() => undefined);
    return stats?.isFile() ? [{ path, size: stats.size, usedAt: stats.mtimeMs }] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Bytes and number of the encoded texts beside a model. */
export async function textCacheSize(
  root: string,
): Promise<{ readonly bytes: number; readonly files: number }> {
  const files = await filesIn(join(root, PACK_FOLDER, TEXT_FOLDER));
  return { bytes: files.reduce((sum, { size }) => sum + size, 0), files: files.length };
}

/** Removes the encoded texts beside a model. */
export async function removeTexts(root: string): Promise<void> {
  await rm(join(root, PACK_FOLDER, TEXT_FOLDER), { recursive: true, force: true });
  // Fails where packed weights lie there, which then stay.
  await rmdir(join(root, PACK_FOLDER)).catch(() => {});
}
