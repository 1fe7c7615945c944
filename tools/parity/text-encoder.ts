import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { openPart } from "../../src/checkpoint/mod.ts";
import { relativeBucket, type T5Config, t5Graph } from "../../src/models/mod.ts";
import { bindTextEncoder, type ModelPart } from "../../src/pipelines/mod.ts";
import { cast, type Tensor, tensor } from "../../src/tensor/mod.ts";
import { type Context, int32, reshaped, runGraph } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";
import { additiveMask, LOWEST } from "./masks.ts";

export const TEXT_ENCODER_FILE = "text-encoder.safetensors";
const TEXT_ENCODER_JSON = "text-encoder.json";

const schema = z.object({
  model: z.string(),
  fp16_model: z.string().optional(),
  cases: z.record(z.string(), z.unknown()),
});

/** The folder of the same encoder in half precision, where the folder has these cases and names one. */
export async function halfPrecisionEncoder(folder: string): Promise<string | undefined> {
  if (!existsSync(join(folder, TEXT_ENCODER_JSON))) return undefined;
  return (await readJsonAs(folder, TEXT_ENCODER_JSON, schema)).fp16_model;
}

/** States after every block, position bias and buckets of the T5 encoder. */
export async function textEncoder(context: Context): Promise<void> {
  const fixture = context.fixture(TEXT_ENCODER_FILE);
  if (fixture === undefined) return;
  const about = await readJsonAs(context.folder, TEXT_ENCODER_JSON, schema);
  const open = async (path: string) => bindTextEncoder(await openPart(join(context.folder, path)));
  const model = await open(about.model);
  for (const name of Object.keys(about.cases)) {
    const ids = fixture.tensor(`${name}/ids`);
    const mask = fixture.tensor(`${name}/mask`);
    const states = fixture.left().filter((tensor) => tensor.startsWith(`${name}/`));
    const seen = await run(context, model, ids, mask);
    for (const tensor of states) {
      const part = tensor.slice(name.length + 1);
      const result = seen(part);
      if (result !== undefined) fixture.expect(tensor, reshaped(result, fixture.tensor(tensor).shape));
    }
    const nomask = `${name}/last_hidden_state_nomask`;
    if (fixture.has(nomask)) {
      fixture.expect(nomask, (await run(context, model, ids, onesLike(mask)))("last_hidden_state")!);
    }
    const half = `${name}/last_hidden_state_fp16ckpt`;
    if (fixture.has(half)) {
      const narrow = await open(about.fp16_model ?? `${dirname(about.model)}-fp16/text_encoder`);
      fixture.expect(half, (await run(context, narrow, ids, mask))("last_hidden_state")!);
    }
  }
  buckets(fixture, model.config);
}

/** The encoder's states by the names of the fixtures; undefined for a name that is no state. */
async function run(
  { workshop }: Context,
  { config, part }: ModelPart<T5Config>,
  ids: Tensor,
  mask: Tensor,
): Promise<(name: string) => Tensor | undefined> {
  const [batch, length] = ids.shape as [number, number];
  const graph = t5Graph(config, batch, length, { from: 0, to: config.numLayers });
  const feeds = { ids: cast(ids, "int64"), mask_bias: additiveMask(mask, LOWEST) };
  const results = await runGraph(workshop, part, graph, feeds, [
    ...graph.taps.keys(),
    ...graph.outputs.keys(),
  ]);
  return (name) => {
    const query = /^position_bias(?:_row_(\d+))?$/.exec(name);
    if (query !== null) return biasOf(results.get("position_bias")!, Number(query[1] ?? 0));
    // The state after the last block is stored after the final norm.
    if (name === "last_hidden_state" || name === `hidden_${config.numLayers}`) return results.get("hidden");
    return results.get(name);
  };
}

/** Bias [heads,keys] of one query, out of [1,heads,queries,keys]. */
function biasOf(bias: Tensor, query: number): Tensor<"float32"> {
  const [, heads, queries, keys] = bias.shape as [number, number, number, number];
  const values = Array.from({ length: heads }, (_, head) => {
    const from = (head * queries + query) * keys;
    return Array.from(bias.data.subarray(from, from + keys), Number);
  });
  return tensor("float32", [heads, keys], Float32Array.from(values.flat()));
}

function buckets(fixture: Fixture, { numBuckets, maxDistance }: T5Config): void {
  if (!fixture.has("rel_bucket")) return;
  const positions = fixture.integers("rel_bucket_positions");
  const seen = positions.map((position) => relativeBucket(position, numBuckets, maxDistance));
  fixture.expect("rel_bucket", int32([seen.length], seen));
}

function onesLike({ shape, data }: Tensor): Tensor<"int32"> {
  return int32(shape, new Array<number>(data.length).fill(1));
}
