import { product } from "../src/base/mod.ts";
import {
  type NamedTensor,
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
} from "../src/checkpoint/mod.ts";
import { foldIn, type Key, keyOf, normal } from "../src/random/mod.ts";
import { float32, type Tensor, tensor } from "../src/tensor/mod.ts";
import type { Cases, Kind } from "./jobs.ts";
import type { Scale } from "./scale.ts";
import { SEED } from "./weights.ts";

/** Pixels along one latent cell of the full model and of the smoke model. */
export const CELL = 8;

/** Seeded inputs of a case by name; what a kind draws itself is not among them. */
const INPUTS: {
  readonly [K in Kind]: (c: Cases[K], scale: Scale, key: Key) => Readonly<Record<string, Tensor>>;
} = {
  peak: () => ({}),
  step: () => ({}),
  unet: ({ batch, width, height, tokens }, { configs }, key) => ({
    sample: normal(foldIn(key, 0), [batch, 4, height / CELL, width / CELL]),
    hidden: normal(foldIn(key, 1), [batch, tokens, configs.unet["encoder_hid_dim"] as number]),
  }),
  movq: ({ direction, width, height }, _, key) =>
    direction === "decode"
      ? { latents: normal(key, [1, 4, height / CELL, width / CELL]) }
      : { image: squeezed(normal(key, [1, 3, height, width])) },
  text: ({ tokens }, { configs }) => {
    const vocabulary = configs.text_encoder["vocab_size"] as number;
    const ids = BigInt64Array.from({ length: tokens }, (_, i) => BigInt((i * 7919 + 3) % vocabulary));
    return { ids: tensor("int64", [1, tokens], ids) };
  },
  nano: () => ({}),
};

/** Writes the inputs of all cases as `CASE/INPUT`. */
export async function writeInputs<K extends Kind>(
  path: string,
  kind: K,
  cases: readonly Cases[K][],
  scale: Scale,
): Promise<void> {
  const key = foldIn(keyOf(SEED), 1);
  const tensors = cases.flatMap((one, i): NamedTensor[] =>
    Object.entries(INPUTS[kind](one, scale, foldIn(key, i))).map(([name, value]) => ({
      name: `${one.name}/${name}`,
      tensor: value,
    })),
  );
  await writeSafetensors(path, tensors, {});
}

/** One tensor of a file of inputs or outputs. */
export async function readOne(path: string, name: string): Promise<Tensor> {
  const { entries } = await readSafetensorsHeader(path);
  const entry = entries.get(name);
  if (entry === undefined) throw new RangeError(`${path}: no ${name}`);
  return readTensor(entry);
}

/** How two results of one computation differ. */
export interface Difference {
  /** Largest absolute difference; null where one is not finite or sizes differ. */
  readonly worst: number | null;
  /** Root mean square of ours. */
  readonly scale: number;
}

export function differenceOf(ours: Tensor<"float32">, theirs: Tensor<"float32">): Difference {
  const scale = Math.sqrt(ours.data.reduce((sum, x) => sum + x * x, 0) / product(ours.shape));
  if (ours.data.length !== theirs.data.length) return { worst: null, scale };
  const worst = ours.data.reduce((most, x, i) => Math.max(most, Math.abs(x - theirs.data[i]!)), 0);
  return { worst: Number.isFinite(worst) ? worst : null, scale };
}

/** Brings normal values into the range of pixels. */
function squeezed({ shape, data }: Tensor<"float32">): Tensor<"float32"> {
  return float32(shape, data.map(Math.tanh));
}
