import { expect, test } from "vitest";
import { product } from "../base/mod.ts";
import { interpret } from "../interp/mod.ts";
import { cast, float32, type Tensor, tensor } from "../tensor/mod.ts";
import {
  movqDecoderGraph,
  movqEncoderGraph,
  movqQuantizerGraph,
  parseMovqConfig,
  parseT5Config,
  parseUNetConfig,
  relativeBucket,
  t5Graph,
  textProjectionGraph,
  unetGraph,
} from "./mod.ts";
import { loadTensors, readJsonFile, worstDifference } from "./test-support.ts";

// Float64 here against float32 stored, so the tolerances are twice or three times the rounding of the stored
// results (golden/README.md); classes there are wider, for executors in float32.

/** Compares with a golden tensor, whatever axes of one element either has. */
function expectClose(name: string, seen: Tensor, expected: Tensor, tolerance: number): void {
  const difference = worstDifference(seen, expected);
  expect(difference, `${name}: worst difference ${difference}`).toBeLessThanOrEqual(tolerance);
}

const unetGolden = await loadTensors("golden/unet.safetensors");

/** Additive mask [B,1,1,L] of 0 and `masked`, from 1 = keep. */
function maskBias(keep: Tensor, masked: number): Tensor<"float32"> {
  const [batch, length] = keep.shape as [number, number];
  const bias = Array.from(cast(keep, "float64").data, (one) => (one === 1 ? 0 : masked));
  return float32([batch, 1, 1, length], bias);
}

/** What a case has other than the usual. */
interface Change {
  /** 1 = keep. */
  readonly mask?: Tensor;
  readonly times?: readonly number[];
  /** Added to the scores of masked keys; diffusers' by default. */
  readonly masked?: number;
}

/** Projection and U-Net with golden inputs, at timesteps 17 and 803 unless given. */
async function runUNet(
  weightsFile: string,
  names: { readonly sample: string; readonly hidden: string },
  { mask = unetGolden("encoder_attention_mask"), times = [17, 803], masked = -10000 }: Change = {},
  wanted: readonly string[] = [],
): Promise<ReadonlyMap<string, Tensor>> {
  const folder = weightsFile.slice(0, weightsFile.lastIndexOf("/"));
  const config = parseUNetConfig(readJsonFile(`${folder}/config.json`), folder);
  const weights = await loadTensors(weightsFile);
  const [sample, hidden] = [unetGolden(names.sample), unetGolden(names.hidden)];
  const [batch, , height, width] = sample.shape as [number, number, number, number];
  const length = hidden.shape[1]!;
  const projection = textProjectionGraph(config, batch, length);
  const context = interpret(projection, { encoder_hidden_states: hidden }, weights).get("context")!;
  const graph = unetGraph(config, { batch, height, width, contextLength: length, steps: 2 });
  const feeds = {
    sample,
    // The step that is not asked for has other times: its modulation must not be taken.
    timesteps: float32([2, 2], [500, 600, ...times]),
    step: tensor("int64", [], BigInt64Array.of(1n)),
    context,
    mask_bias: maskBias(mask, masked),
    pool_weights: float32([batch, 1, length], new Array<number>(batch * length).fill(1 / length)),
  };
  const results = interpret(graph, feeds, weights, ["prediction", ...wanted]);
  return new Map([...results, ["encoder_hid_proj", context]]);
}

const TINY_UNET = "golden/tiny-k3/unet/diffusion_pytorch_model.safetensors";
const PLAIN = { sample: "sample", hidden: "encoder_hidden_states" };
const TAPS = [
  "conv_in",
  "down_blocks.0.resnets_out.2",
  "down_blocks.0",
  "down_blocks.1.attentions.0",
  "down_blocks.1.attentions.1",
  "down_blocks.1",
  "down_blocks.2",
  "down_blocks.3",
  "up_blocks.0",
  "up_blocks.1.resnets_in.0",
  "up_blocks.1",
  "up_blocks.2",
  "up_blocks.3",
  "conv_norm_out",
];

test("unetGraph gives the reference's prediction and every stored value on the way", async () => {
  const perStep = ["time_proj", "time_embedding", "add_time_condition"];
  const results = await runUNet(TINY_UNET, PLAIN, {}, [...TAPS, ...perStep]);
  expectClose("output", results.get("prediction")!, unetGolden("output"), 2e-5);
  for (const name of [...TAPS, "encoder_hid_proj"]) {
    expectClose(name, results.get(name)!, unetGolden(`mid/${name}`), 2e-5);
  }
  for (const name of perStep) {
    // [steps, batch, channels]: the second step is the one asked for.
    const { shape, data } = results.get(name)!;
    const row = product(shape.slice(1));
    const second = float32(shape.slice(1), (data as Float32Array).slice(row));
    expectClose(name, second, unetGolden(`mid/${name}`), 2e-5);
  }
});

test.each<readonly [name: string, change: Change, tolerance: number]>([
  ["output_scalar_t", { times: [17, 17] }, 2e-5],
  ["output_mask_ones", { mask: float32([2, 11], new Float32Array(22).fill(1)) }, 2e-5],
  ["output_row1_all_masked", { mask: unetGolden("encoder_attention_mask_row1_all_masked") }, 2e-3],
])("unetGraph gives the reference's %s", async (name, change, tolerance) => {
  const results = await runUNet(TINY_UNET, PLAIN, change);
  expectClose(name, results.get("prediction")!, unetGolden(name), tolerance);
});

test("unetGraph with the original's mask of a fully masked row gives the original's prediction", async () => {
  const mask = unetGolden("encoder_attention_mask_row1_all_masked");
  const results = await runUNet(TINY_UNET, PLAIN, { mask, masked: -3.4028234663852886e38 });
  const name = "native/output_row1_all_masked";
  expectClose(name, results.get("prediction")!, unetGolden(name), 2e-5);
});

test("unetGraph takes weights stored in bfloat16", async () => {
  const file = "golden/tiny-k3-fp16/unet/diffusion_pytorch_model.bf16.safetensors";
  const results = await runUNet(file, PLAIN);
  expectClose("bf16", results.get("prediction")!, unetGolden("output_bf16ckpt"), 2e-5);
});

test("unetGraph of three levels and nine input channels gives the inpainting U-Net's prediction", async () => {
  const file = "golden/tiny-k3-inpaint/unet/diffusion_pytorch_model.safetensors";
  const names = { sample: "inpaint/sample", hidden: "inpaint/encoder_hidden_states" };
  const results = await runUNet(file, names);
  expectClose("inpaint", results.get("prediction")!, unetGolden("inpaint/output"), 2e-5);
  expectClose("context", results.get("encoder_hid_proj")!, unetGolden("inpaint/projected_context"), 2e-5);
});

const t5Golden = await loadTensors("golden/text-encoder.safetensors");
const T5_CONFIG = parseT5Config(readJsonFile("golden/tiny-k3/text_encoder/config.json"), "config");
const LOWEST = -3.4028234663852886e38;

async function runT5(files: readonly string[], length: "short" | "long", masked: number) {
  const [ids, mask] = [t5Golden(`${length}/ids`), t5Golden(`${length}/mask`)];
  const [batch, tokens] = ids.shape as [number, number];
  const feeds = { ids: cast(ids, "int64"), mask_bias: maskBias(mask, masked) };
  const graph = t5Graph(T5_CONFIG, batch, tokens, { from: 0, to: T5_CONFIG.numLayers });
  const taps = ["position_bias", "hidden_0", "hidden_1"];
  return interpret(graph, feeds, await loadTensors(...files), ["hidden", ...taps]);
}

const TINY_T5 = ["golden/tiny-k3/text_encoder/model.safetensors"];

test.each(["short", "long"] as const)(
  "t5Graph gives the reference's states for a %s text",
  async (length) => {
    const results = await runT5(TINY_T5, length, LOWEST);
    expectClose("hidden", results.get("hidden")!, t5Golden(`${length}/last_hidden_state`), 1e-5);
    expectClose("hidden_0", results.get("hidden_0")!, t5Golden(`${length}/hidden_0`), 0);
  },
);

test("t5Graph gives the reference's states after a block, without a mask and with half-precision weights", async () => {
  const results = await runT5(TINY_T5, "short", LOWEST);
  expectClose("hidden_1", results.get("hidden_1")!, t5Golden("short/hidden_1"), 1e-5);
  const open = await runT5(TINY_T5, "short", 0);
  expectClose("no mask", open.get("hidden")!, t5Golden("short/last_hidden_state_nomask"), 1e-5);
  const shards = [1, 2].map(
    (i) => `golden/tiny-k3-fp16/text_encoder/model.fp16-0000${i}-of-00002.safetensors`,
  );
  const half = await runT5(shards, "short", LOWEST);
  expectClose("fp16", half.get("hidden")!, t5Golden("short/last_hidden_state_fp16ckpt"), 1e-5);
});

test("t5Graph gives the reference's position bias", async () => {
  const bias = (await runT5(TINY_T5, "long", LOWEST)).get("position_bias")!;
  const [, heads, length] = bias.shape as [number, number, number];
  for (const [query, name] of [
    [0, "long/position_bias"],
    [127, "long/position_bias_row_127"],
  ] as const) {
    const rows = Array.from({ length: heads }, (_, head) => {
      const at = (head * length + query) * length;
      return Array.from((bias.data as Float32Array).subarray(at, at + length));
    });
    expectClose(name, float32([heads, length], rows.flat()), t5Golden(name), 0);
  }
});

test("t5Graph in two parts computes what the whole does", async () => {
  const weights = await loadTensors(...TINY_T5);
  const ids = cast(t5Golden("short/ids"), "int64");
  const feeds = { ids, mask_bias: maskBias(t5Golden("short/mask"), LOWEST) };
  const [batch, length] = ids.shape as [number, number];
  const first = interpret(t5Graph(T5_CONFIG, batch, length, { from: 0, to: 1 }), feeds, weights);
  const rest = { ...feeds, ...Object.fromEntries(first), hidden_before: first.get("hidden")! };
  const second = interpret(t5Graph(T5_CONFIG, batch, length, { from: 1, to: 2 }), rest, weights);
  expect([...second.keys()]).toEqual(["hidden"]);
  expectClose("hidden", second.get("hidden")!, t5Golden("short/last_hidden_state"), 1e-5);
});

test("relativeBucket gives the reference's buckets from -200 to 200", () => {
  const positions = Array.from(cast(t5Golden("rel_bucket_positions"), "float64").data);
  expect(positions.length).toBe(401);
  const buckets = positions.map((position) => relativeBucket(position, 32, 128));
  expect(buckets).toEqual(Array.from(cast(t5Golden("rel_bucket"), "float64").data));
});

test("relativeBucket has a bucket for each near distance and wider ones to the last", () => {
  const firstOf = (bucket: number) =>
    Array.from({ length: 301 }, (_, i) => i).find((r) => relativeBucket(-r, 32, 128) === bucket);
  expect([0, 1, 7, 8, 9, 10, 11, 12, 13, 14, 15].map(firstOf)).toEqual([
    0, 1, 7, 8, 12, 16, 23, 32, 46, 64, 91,
  ]);
  expect([1, 8, 128, 1000].map((r) => relativeBucket(r, 32, 128))).toEqual([17, 24, 31, 31]);
});

const movqGolden = await loadTensors("golden/movq.safetensors");
const MOVQ_CONFIG = parseMovqConfig(readJsonFile("golden/tiny-k3/movq/config.json"), "config");
const TINY_MOVQ = "golden/tiny-k3/movq/diffusion_pytorch_model.safetensors";
const LATENT = { batch: 2, height: 6, width: 8 };

test("movqEncoderGraph gives the reference's latents and every stored value on the way", async () => {
  const weights = await loadTensors(TINY_MOVQ);
  const taps = ["encoder.down_blocks.2", "encoder.down_blocks.3", "encoder.mid_block", "encoder.output"];
  const graph = movqEncoderGraph(MOVQ_CONFIG, { batch: 2, height: 48, width: 64 });
  const results = interpret(graph, { image: movqGolden("image") }, weights, ["latents", ...taps]);
  expectClose("latents", results.get("latents")!, movqGolden("latents"), 2e-5);
  for (const tap of taps) {
    const name = tap.replace("encoder.", "encoder/");
    expectClose(name, results.get(tap)!, movqGolden(name), 2e-5);
  }
});

test("movqDecoderGraph gives the reference's picture and every stored value on the way", async () => {
  const weights = await loadTensors(TINY_MOVQ);
  const taps = ["decoder.conv_in", "decoder.mid_block", "decoder.up_blocks.0"];
  const graph = movqDecoderGraph(MOVQ_CONFIG, LATENT);
  const results = interpret(graph, { latents: movqGolden("decode/z") }, weights, [
    "image",
    "post_quant_conv",
    ...taps,
  ]);
  expectClose("image", results.get("image")!, movqGolden("decode/raw"), 2e-5);
  expectClose("post", results.get("post_quant_conv")!, movqGolden("decode/post_quant_conv"), 2e-5);
  for (const tap of taps) {
    const name = tap.replace("decoder.", "decoder/");
    expectClose(name, results.get(tap)!, movqGolden(name), 2e-5);
  }
});

test("movqQuantizerGraph finds the reference's codes", async () => {
  const weights = await loadTensors(TINY_MOVQ);
  const graph = movqQuantizerGraph(MOVQ_CONFIG, LATENT);
  const ofImage = interpret(graph, { latents: movqGolden("latents") }, weights);
  expectClose("indices", ofImage.get("indices")!, movqGolden("indices"), 0);
  // The reference computes z + (code - z), which rounds.
  expectClose("z_q", ofImage.get("quantized")!, movqGolden("z_q"), 1e-7);
  const ofNoise = interpret(graph, { latents: movqGolden("decode/z") }, weights);
  expectClose("z_indices", ofNoise.get("indices")!, movqGolden("decode/z_indices"), 0);
});
