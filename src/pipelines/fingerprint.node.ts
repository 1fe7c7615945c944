import { createHash, type Hash } from "node:crypto";
import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { formatShape } from "../tensor/mod.ts";
import type { BoundPart } from "./packing.node.ts";

const SAMPLES = 64;
const SAMPLE_BYTES = 4096;
const DIGITS = 12;

/**
 * Adds what `label` makes of a file's size and time of change to a hash, and 64 samples of 4 KiB, the header of a
 * safetensors file among them. Reading all of a 12 GB file to hash it would take longer than using it.
 */
export async function hashSamples(hash: Hash, file: string, label: (stats: Stats) => string): Promise<void> {
  const sample = new Uint8Array(SAMPLE_BYTES);
  const handle = await open(file);
  try {
    const stats = await handle.stat();
    const { size } = stats;
    hash.update(label(stats));
    for (let i = 0; i < SAMPLES; i++) {
      const at = Math.floor((Math.max(0, size - SAMPLE_BYTES) * i) / (SAMPLES - 1));
      const { bytesRead } = await handle.read(sample, 0, SAMPLE_BYTES, at);
      hash.update(sample.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** The files that hold a part's weights, in order. */
export function filesOf({ entries }: BoundPart): string[] {
  return [...new Set([...entries.values()].map(({ file }) => file))].sort();
}

/**
 * Twelve digits that tell one model from another wherever it lies: from names, types and shapes of all weights, and
 * sizes and samples of the files.
 */
export async function fingerprintOf(parts: readonly BoundPart[]): Promise<string> {
  const hash = createHash("sha256");
  for (const part of parts) {
    const weights = [...part.entries].map(
      ([name, { dtype, shape }]) => `${name} ${dtype}${formatShape(shape)}`,
    );
    hash.update(`${part.name}\n${weights.sort().join("\n")}\n`);
    for (const file of filesOf(part)) await hashSamples(hash, file, ({ size }) => `${size}\n`);
  }
  return hash.digest("hex").slice(0, DIGITS);
}
