import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader, readTensor } from "../checkpoint/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import { cast, type Tensor } from "../tensor/mod.ts";

/** A file of the repository; this file runs as dist/src/models/test-support.js. */
export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../../${path}`, import.meta.url));
}

export function readJsonFile(path: string): unknown {
  return JSON.parse(readFileSync(repositoryFile(path), "utf8"));
}

/** Names and shapes of all tensors of a safetensors file, sorted by name. */
export async function storedShapes(path: string): Promise<ParameterShape[]> {
  const { entries } = await readSafetensorsHeader(repositoryFile(path));
  return sortedByName([...entries.values()].map(({ name, shape }) => ({ name, shape })));
}

export function sortedByName(shapes: readonly ParameterShape[]): ParameterShape[] {
  return [...shapes].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All tensors of a safetensors file, by name; asking for one that is not there is an error. */
export async function loadTensors(...paths: readonly string[]): Promise<(name: string) => Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const path of paths) {
    const { entries } = await readSafetensorsHeader(repositoryFile(path));
    for (const [name, entry] of entries) tensors.set(name, await readTensor(entry));
  }
  return (name) => {
    const found = tensors.get(name);
    if (found === undefined) throw new Error(`${paths.join(", ")}: no ${name}`);
    return found;
  };
}

/** Largest absolute difference; NaN and unequal sizes give Infinity. */
export function worstDifference(seen: Tensor, expected: Tensor): number {
  const [a, b] = [cast(seen, "float64").data, cast(expected, "float64").data];
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
  }
  return worst;
}
