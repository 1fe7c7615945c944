import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader, readTensor } from "../checkpoint/mod.ts";
import { row, type Tensor } from "../tensor/mod.ts";
import type { Latent } from "./arithmetic.ts";
import { parseSchedulerConfig } from "./config.ts";
import type { Network } from "./denoiser.ts";

// Tolerance classes of golden/README.md.
export const ALPHAS = { abs: 1e-6, rel: 1e-5 };
export const SCHEDULE = { abs: 5e-5, rel: 1e-5 };
export const SCHEDULE_NATIVE = { abs: 1e-3, rel: 1e-3 };
export const FLASH = { abs: 1e-4, rel: 1e-4 };

/** Settings of the released scheduler file. */
export const RELEASED = parseSchedulerConfig(
  { beta_schedule: "squaredcos_cap_v2", timestep_spacing: "leading", steps_offset: 1 },
  "released scheduler",
);

function goldenPath(name: string): string {
  return fileURLToPath(new URL(`../../../golden/${name}`, import.meta.url));
}

/** A JSON file of golden/. */
export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(goldenPath(name), "utf8")) as T;
}

/** All tensors of a safetensors file of golden/, by name; the function throws for a name it lacks. */
export async function openGolden(name: string): Promise<(tensor: string) => Latent> {
  const { entries } = await readSafetensorsHeader(goldenPath(name));
  const tensors = new Map<string, Tensor>();
  for (const [key, entry] of entries) tensors.set(key, await readTensor(entry));
  return (key) => {
    const found = tensors.get(key);
    if (found === undefined) throw new Error(`${name} has no ${key}`);
    return found as Latent;
  };
}

/** Entry `index` of a stack of latents. */
export function entryOf(stack: Latent, index: number): Latent {
  const { data } = row(stack, index);
  return { dtype: "float32", shape: stack.shape.slice(1), data };
}

/** The values of several latents, one after the other. */
export function stack(latents: readonly Latent[]): number[] {
  return latents.flatMap((latent) => Array.from(latent.data));
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A failure message, or undefined where max|seen - wanted| <= abs + rel * max|wanted| (golden/README, Tolerances). */
export function mismatch(
  seen: ArrayLike<number>,
  wanted: ArrayLike<number>,
  { abs, rel }: { abs: number; rel: number },
): string | undefined {
  if (seen.length !== wanted.length) return `${seen.length} values, wanted ${wanted.length}`;
  let worst = -1;
  let place = 0;
  let largest = 0;
  for (let i = 0; i < seen.length; i++) {
    const difference = Math.abs(seen[i]! - wanted[i]!);
    if (!(difference <= worst)) [worst, place] = [difference, i];
    if (Number.isNaN(difference)) break;
    largest = Math.max(largest, Math.abs(wanted[i]!));
  }
  const limit = abs + rel * largest;
  if (worst <= limit) return undefined;
  return `worst difference ${worst} > ${limit} at ${place}: seen ${seen[place]}, wanted ${wanted[place]}`;
}

/** The stand-in network of the golden traces: x, a term in t, and a fixed offset. */
export function fakeNetwork(offset: Latent): Network {
  const output = (x: Latent, ofX: number, shift: number, ofOffset: number): Latent => ({
    ...x,
    data: x.data.map((value, i) => ofX * value + shift + ofOffset * offset.data[i]!),
  });
  return async (x, { time, guided }) => {
    const shift = 0.1 * Math.cos(0.01 * time);
    const conditional = output(x, 0.3, shift, 0.4);
    return guided ? { conditional, unconditional: output(x, 0.25, -shift, 0.3) } : { conditional };
  };
}
