import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { product } from "../../src/base/mod.ts";
import { type StreamedTensor, writeSafetensorsStream } from "../../src/checkpoint/mod.ts";
import { RELEASED_SCHEDULER } from "../../src/models/mod.ts";
import { EMBEDDED_MODEL } from "../../src/pipelines/mod.ts";
import type { Scale } from "../scale.ts";
import { PARAMETERS, type PartName, SEED, seededTensors } from "../weights.ts";

/** How the published model names its files, without the variant, and of how many bytes they are at most. */
const FILES: { readonly [P in PartName]: { readonly stem: string; readonly shardBytes: number } } = {
  text_encoder: { stem: "model", shardBytes: 5e9 },
  unet: { stem: "diffusion_pytorch_model", shardBytes: Number.POSITIVE_INFINITY },
  movq: { stem: "diffusion_pytorch_model", shardBytes: Number.POSITIVE_INFINITY },
};

const LAYERS = 32;
/** The tokenizer is nano's: the smoke model's table must be as large. */
const NANO_TOKENS = 8064;
/** Written last: a folder without it is one that was not finished. */
const INDEX = "model_index.json";

/** Every part, with all layers of the text encoder, not only the two that the other groups measure. */
export function wholeConfigs({ configs }: Scale): Scale["configs"] {
  const { d_model, num_layers, vocab_size } = configs.text_encoder as Readonly<Record<string, number>>;
  return {
    ...configs,
    text_encoder: {
      ...configs.text_encoder,
      num_layers: d_model === 4096 ? LAYERS : num_layers,
      vocab_size: Math.max(vocab_size!, NANO_TOKENS),
    },
  };
}

/** Bytes of the files that `writePublished` writes. */
export function publishedBytes(scale: Scale): number {
  const configs = wholeConfigs(scale);
  const parts = Object.keys(FILES) as PartName[];
  return parts.reduce((sum, part) => sum + bytesOf(PARAMETERS[part](configs[part])), 0);
}

/**
 * Writes a whole model with seeded weights in the layout of the published one: F16 files named by their variant, the
 * text encoder in shards of at most 5 GB with an index. The tokenizer is nano's. Leaves what an earlier run kept.
 */
export async function writePublished(
  root: string,
  scale: Scale,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const index = JSON.stringify({
    ...JSON.parse(await readFile(join(EMBEDDED_MODEL, INDEX), "utf8")),
    _kandinsky_bench: `${scale.name}, seed ${SEED}`,
  });
  if ((await readFile(join(root, INDEX), "utf8").catch(() => "")) === index) return;
  const configs = wholeConfigs(scale);
  for (const part of Object.keys(FILES) as PartName[]) {
    await mkdir(join(root, part), { recursive: true });
    await writeFile(join(root, part, "config.json"), JSON.stringify(configs[part], null, 1));
    const shards = shardsOf(seededTensors(PARAMETERS[part](configs[part])), FILES[part].shardBytes);
    await writeShards(join(root, part), FILES[part].stem, shards, (line) => {
      signal.throwIfAborted();
      tell(`${part}: ${line}`);
    });
  }
  await cp(join(EMBEDDED_MODEL, "tokenizer"), join(root, "tokenizer"), { recursive: true });
  await mkdir(join(root, "scheduler"), { recursive: true });
  await writeFile(
    join(root, "scheduler", "scheduler_config.json"),
    JSON.stringify(RELEASED_SCHEDULER, null, 1),
  );
  await writeFile(join(root, INDEX), index);
}

async function writeShards(
  folder: string,
  stem: string,
  shards: readonly (readonly StreamedTensor[])[],
  tell: (line: string) => void,
): Promise<void> {
  const total = bytesOf(shards.flat());
  const weightMap: Record<string, string> = {};
  let done = 0;
  let told = 0;
  for (const [i, shard] of shards.entries()) {
    const number = (n: number) => `${n}`.padStart(5, "0");
    const place = shards.length === 1 ? "" : `-${number(i + 1)}-of-${number(shards.length)}`;
    const file = `${stem}.fp16${place}.safetensors`;
    await writeSafetensorsStream(join(folder, file), shard, { format: "pt" }, (written) => {
      done += written;
      if (done - told < TOLD_BYTES && done < total) return;
      told = done;
      tell(`${(done / 1e9).toFixed(1)} of ${(total / 1e9).toFixed(1)} GB of weights written`);
    });
    for (const { name } of shard) weightMap[name] = file;
  }
  if (shards.length === 1) return;
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  await writeFile(join(folder, `${stem}.safetensors.index.fp16.json`), JSON.stringify(index, null, 1));
}

const TOLD_BYTES = 1e9;

/** Runs of tensors of at most `shardBytes`, in their order. */
function shardsOf(tensors: readonly StreamedTensor[], shardBytes: number): StreamedTensor[][] {
  const shards: StreamedTensor[][] = [[]];
  let bytes = 0;
  for (const one of tensors) {
    const size = bytesOf([one]);
    if (bytes + size > shardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(one);
    bytes += size;
  }
  return shards;
}

function bytesOf(tensors: readonly { readonly shape: readonly number[] }[]): number {
  return tensors.reduce((sum, { shape }) => sum + 2 * product(shape), 0);
}
