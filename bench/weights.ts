import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { product } from "../src/base/mod.ts";
import { readSafetensorsHeader, type StreamedTensor, writeSafetensorsStream } from "../src/checkpoint/mod.ts";
import {
  movqParameters,
  parseMovqConfig,
  parseT5Config,
  parseUNetConfig,
  t5Parameters,
  unetParameters,
} from "../src/models/mod.ts";
import { foldIn, keyOf, normal } from "../src/random/mod.ts";
import { numberToFloat16 } from "../src/tensor/mod.ts";
import type { Scale } from "./scale.ts";

export const SEED = 3;

/** Values that all weights are cut from: a prime number, so that no row of a matrix meets itself again. */
const BLOCK = 2 ** 20 + 7;

/** How far one tensor's values begin after those of the tensor before. */
const OFFSET = 104_729;

export type PartName = keyof Scale["configs"];

export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Every weight of a part, from its configuration. */
export const PARAMETERS: { readonly [P in PartName]: (config: unknown) => ParameterShape[] } = {
  unet: (config) => unetParameters(parseUNetConfig(config, "unet")),
  movq: (config) => movqParameters(parseMovqConfig(config, "movq")),
  text_encoder: (config) => t5Parameters(parseT5Config(config, "text_encoder")),
};

const FILES: { readonly [P in PartName]: string } = {
  unet: "diffusion_pytorch_model.safetensors",
  movq: "diffusion_pytorch_model.safetensors",
  text_encoder: "model.safetensors",
};

/** Number of values in a part of the model. */
export function partSize({ configs }: Scale, part: PartName): number {
  return PARAMETERS[part](configs[part]).reduce((sum, { shape }) => sum + product(shape), 0);
}

/**
 * Writes one part of a model with seeded weights as F16, or leaves it where an earlier run kept it. Matrices and
 * kernels are normal with deviation 1/sqrt(fan-in), biases 0.1, scales of norms 0.1 around 1. Three thousand
 * million draws would take an hour, so a block of a million values is repeated, from another place in each tensor.
 */
export async function writePart(
  root: string,
  { name, configs }: Scale,
  part: PartName,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const folder = join(root, part);
  const file = join(folder, FILES[part]);
  const metadata = { kandinsky_bench: `${name}, seed ${SEED}` };
  if (
    existsSync(file) &&
    (await readSafetensorsHeader(file)).metadata["kandinsky_bench"] === metadata.kandinsky_bench
  )
    return;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(configs[part], null, 1));
  const tensors = seededTensors(PARAMETERS[part](configs[part]));
  const bytes = tensors.reduce((sum, { shape }) => sum + 2 * product(shape), 0);
  let done = 0;
  let told = 0;
  await writeSafetensorsStream(file, tensors, metadata, (written) => {
    signal.throwIfAborted();
    done += written;
    if (done - told < TOLD_BYTES) return;
    told = done;
    tell(`${part}: ${(done / 1e9).toFixed(1)} of ${(bytes / 1e9).toFixed(1)} GB of weights written`);
  });
}

const TOLD_BYTES = 1e9;

/** Seeded values for weights, as `writePart` describes them. */
export function seededTensors(parameters: readonly ParameterShape[]): StreamedTensor[] {
  const block = normal(foldIn(keyOf(SEED), 0), [BLOCK]).data;
  const blocks = new Map<string, Uint16Array>();
  return parameters.map(({ name, shape }, index) => {
    const { center, deviation } = distributionOf(name, shape);
    const key = `${center} ${deviation}`;
    return {
      name,
      dtype: "float16" as const,
      shape,
      values: () => {
        const halves =
          blocks.get(key) ?? Uint16Array.from(block, (x) => numberToFloat16(center + deviation * x));
        blocks.set(key, halves);
        return cycle(halves, (index * OFFSET) % BLOCK, product(shape));
      },
    };
  });
}

function distributionOf(name: string, shape: readonly number[]): { center: number; deviation: number } {
  if (shape.length > 1) return { center: 0, deviation: 1 / Math.sqrt(product(shape.slice(1))) };
  return { center: name.endsWith(".weight") ? 1 : 0, deviation: 0.1 };
}

function* cycle(values: Uint16Array, start: number, count: number): Generator<Uint16Array> {
  let at = start;
  for (let left = count; left > 0; ) {
    const piece = values.subarray(at, at + left);
    yield piece;
    left -= piece.length;
    at = 0;
  }
}
