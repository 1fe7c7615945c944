import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { openPart } from "../../src/checkpoint/mod.ts";
import { textProjectionGraph, type UNetConfig, unetGraph } from "../../src/models/mod.ts";
import { bindUNet, type ModelPart, UNetRunner } from "../../src/pipelines/mod.ts";
import { concatRows, float32, row, type Tensor, tensor } from "../../src/tensor/mod.ts";
import { type Context, int32, reshaped, runGraph } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";
import { additiveMask, DIFFUSERS_MASKED, LOWEST, meanWeights } from "./masks.ts";
import { halfPrecisionEncoder } from "./text-encoder.ts";

export const UNET_FILE = "unet.safetensors";

const schema = z.object({
  model: z.string(),
  inpaint_model: z.string().optional(),
  bf16_model: z.string().optional(),
});

/** One pass of a U-Net. */
export interface Pass {
  readonly model: ModelPart<UNetConfig>;
  readonly sample: Tensor<"float32">;
  /** One a row. */
  readonly times: readonly number[];
  /** [B,L,C], projected. */
  readonly context: Tensor<"float32">;
  /** [B,L], 1 = keep. */
  readonly mask: Tensor;
  /** What masked scores get: the two implementations differ (trap 1). */
  readonly masked: number;
}

/** Outputs of both implementations, intermediates, other masks and dtypes, and the inpainting U-Net. */
export async function unet(context: Context): Promise<void> {
  const fixture = context.fixture(UNET_FILE);
  if (fixture === undefined) return;
  const about = await readJsonAs(context.folder, "unet.json", schema);
  const open = async (path: string) => bindUNet(await openPart(join(context.folder, path)));
  const hidden = fixture.float32("encoder_hidden_states");
  const project = (of: ModelPart<UNetConfig>, states: Tensor<"float32">) =>
    runnerOf(context, of).project(states);
  const base = await openBasePass(context, fixture);
  const { model } = base;
  await intermediates(context, fixture, base, hidden);

  const variants: Readonly<Record<string, () => Partial<Pass> | Promise<Partial<Pass>>>> = {
    output: () => ({}),
    output_scalar_t: () => ({ times: base.times.map(() => base.times[0]!) }),
    output_mask_ones: () => ({
      mask: int32(
        base.mask.shape,
        [...base.mask.data].map(() => 1),
      ),
    }),
    output_row1_all_masked: () => ({ mask: fixture.tensor("encoder_attention_mask_row1_all_masked") }),
    output_row1_zero_context_all_masked: async () => ({
      mask: fixture.tensor("encoder_attention_mask_row1_all_masked"),
      context: await project(model, withZeroRow(hidden, 1)),
    }),
    output_bf16ckpt: async () => {
      const narrow = await open(about.bf16_model ?? (await narrowUNet(context.folder, about.model)));
      return { model: narrow, context: await project(narrow, hidden) };
    },
    "native/output": () => ({ context: fixture.float32("mid/encoder_hid_proj"), masked: LOWEST }),
    "native/output_row1_all_masked": () => ({
      context: fixture.float32("mid/encoder_hid_proj"),
      mask: fixture.tensor("encoder_attention_mask_row1_all_masked"),
      masked: LOWEST,
    }),
    "inpaint/output": async () => {
      const inpaint = await openInpaint();
      return {
        model: inpaint,
        sample: fixture.float32("inpaint/sample"),
        context: await project(inpaint, fixture.float32("inpaint/encoder_hidden_states")),
      };
    },
    "inpaint/native_output": async () => ({
      model: await openInpaint(),
      sample: fixture.float32("inpaint/sample"),
      context: fixture.float32("inpaint/projected_context"),
      masked: LOWEST,
    }),
  };
  const openInpaint = () => open(about.inpaint_model ?? `${dirname(about.model)}-inpaint/unet`);
  if (fixture.has("inpaint/projected_context")) {
    const states = fixture.float32("inpaint/encoder_hidden_states");
    fixture.expect("inpaint/projected_context", await project(await openInpaint(), states));
  }
  for (const [name, variant] of Object.entries(variants)) {
    if (fixture.has(name)) fixture.expect(name, await predict(context, { ...base, ...(await variant()) }));
  }
}

/** The pass of the fixture's own inputs, its model and diffusers' mask. */
export async function openBasePass(context: Context, fixture: Fixture): Promise<Pass> {
  const about = await readJsonAs(context.folder, "unet.json", schema);
  const model = bindUNet(await openPart(join(context.folder, about.model)));
  return {
    model,
    sample: fixture.float32("sample"),
    times: fixture.integers("timestep"),
    context: await runnerOf(context, model).project(fixture.float32("encoder_hidden_states")),
    mask: fixture.tensor("encoder_attention_mask"),
    masked: DIFFUSERS_MASKED,
  };
}

/** unet.json does not name the BF16 copy: it lies beside the half-precision encoder that text-encoder.json names. */
async function narrowUNet(folder: string, model: string): Promise<string> {
  const encoder = await halfPrecisionEncoder(folder);
  return `${encoder === undefined ? `${dirname(model)}-fp16` : dirname(encoder)}/${basename(model)}`;
}

/** As the product runs it: prologue and body, all timesteps prepared at once, the passes applied. */
export async function predict(context: Context, pass: Pass): Promise<Tensor<"float32">> {
  const runner = runnerOf(context, pass.model);
  const [batch, length] = pass.mask.shape as [number, number];
  const [, , height, width] = pass.sample.shape as [number, number, number, number];
  const times = [...new Set(pass.times)];
  const prepared = await runner.prepare({
    context: pass.context,
    maskBias: additiveMask(pass.mask, pass.masked),
    poolWeights: meanWeights([batch, length]),
    times,
    height,
    width,
  });
  try {
    const results: Tensor<"float32">[] = [];
    for (const index of times.keys()) results.push(await prepared.evaluate(pass.sample, index));
    return concatRows(pass.times.map((time, k) => row(results[times.indexOf(time)]!, k)));
  } finally {
    await prepared.release();
    await runner.dispose();
  }
}

/** `mid/NAME`: results of inner modules, from the model as it is written down. */
async function intermediates(
  { workshop, report }: Context,
  fixture: Fixture,
  { model, sample, times, context, mask, masked }: Pass,
  hidden: Tensor<"float32">,
): Promise<void> {
  const wanted = fixture.left().filter((name) => name.startsWith("mid/"));
  const names = wanted.map((name) => name.slice("mid/".length));
  const [batch, contextLength] = mask.shape as [number, number];
  const [, , height, width] = sample.shape as [number, number, number, number];
  const graphs = [
    textProjectionGraph(model.config, batch, contextLength),
    unetGraph(model.config, { batch, height, width, contextLength, steps: 1 }),
  ];
  const feeds = {
    encoder_hidden_states: hidden,
    sample,
    context,
    timesteps: float32([1, batch], times),
    step: tensor("int64", [], BigInt64Array.of(0n)),
    mask_bias: additiveMask(mask, masked),
    pool_weights: meanWeights([batch, contextLength]),
  };
  const seen = new Map<string, Tensor>();
  for (const graph of graphs) {
    const results = await runGraph(workshop, model.part, graph, feeds, names);
    for (const [name, result] of results) seen.set(name, result);
  }
  for (const name of names) {
    const result = seen.get(name);
    if (result === undefined) report.fail(`${fixture.file} mid/${name}`, "the model has no such module");
    else fixture.expect(`mid/${name}`, withoutSteps(result, fixture.tensor(`mid/${name}`)));
  }
}

/** Time embeddings have an axis of steps, which is one here. */
function withoutSteps(seen: Tensor, wanted: Tensor): Tensor {
  return seen.shape.join() === [1, ...wanted.shape].join() ? reshaped(seen, wanted.shape) : seen;
}

export function runnerOf({ workshop, passes }: Context, { part, config }: ModelPart<UNetConfig>): UNetRunner {
  return new UNetRunner(workshop, part, config, passes);
}

function withZeroRow(t: Tensor<"float32">, index: number): Tensor<"float32"> {
  const data = new Float32Array(t.data);
  const size = data.length / t.shape[0]!;
  data.fill(0, index * size, (index + 1) * size);
  return { ...t, data };
}
