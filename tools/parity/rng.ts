import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readSafetensorsHeader, readTensor } from "../../src/checkpoint/mod.ts";
import { type SequentialGenerator, torchGenerator } from "../../src/random/mod.ts";
import type { Context } from "./context.ts";
import { toleranceNamed } from "./fixture.ts";
import { parseAs } from "./folder.ts";

export const RNG_FILE = "rng.json";
const TENSORS = "rng.safetensors";

/** Used where the manifest has no class `rng`. */
const TOLERANCE = { name: "rng", abs: 1e-6, rel: 0 };

const schema = z.object({
  cases: z.array(
    z.object({ tensor: z.string(), seed: z.string(), call: z.int(), shape: z.array(z.int().positive()) }),
  ),
});

/** Normal numbers of PyTorch's CPU generator: one generator a seed, calls in order. */
export async function rng({ folder, manifest, report }: Context): Promise<void> {
  const text = await readFile(join(folder, RNG_FILE), "utf8");
  // Seeds may have more digits than a number keeps.
  const { cases } = parseAs(text.replace(/("seed":\s*)(-?\d+)/g, '$1"$2"'), RNG_FILE, schema);
  const { entries } = await readSafetensorsHeader(join(folder, TENSORS), TENSORS);
  const tolerance = toleranceNamed(manifest, "rng") ?? TOLERANCE;
  const left = new Set(entries.keys());
  const generators = new Map<string, SequentialGenerator>();
  const calls = [...cases].sort((a, b) => (a.seed === b.seed ? a.call - b.call : 0));
  for (const { tensor, seed, shape } of calls) {
    const generator = generators.get(seed) ?? torchGenerator(BigInt(seed));
    generators.set(seed, generator);
    const seen = generator.normal(shape);
    const entry = entries.get(tensor);
    left.delete(tensor);
    if (entry === undefined) report.fail(`${TENSORS} ${tensor}`, `named in ${RNG_FILE}, not in the file`);
    else report.compare(`${TENSORS} ${tensor}`, tolerance, seen, await readTensor(entry));
  }
  for (const tensor of left) report.fail(`${TENSORS} ${tensor}`, `not named in ${RNG_FILE}`);
}
