import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { KANDINSKY3_UNET, parseUNetConfig, unetLayerWeights, unetParameters } from "../models/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { matchLora, readLora } from "./mod.ts";
import { type LoraNaming, targetOf } from "./names.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden", import.meta.url));
const config = JSON.parse(await readFile(join(GOLDEN, "tiny-k3", "unet", "config.json"), "utf8")) as unknown;
const TINY = unetLayerWeights(parseUNetConfig(config, "config.json"));
const inGolden = (name: string) => readLora(join(GOLDEN, "lora", name));

/** Writes a LoRA file of zeros with these shapes; a number is an alpha. */
async function makeLora(
  tensors: Readonly<Record<string, readonly number[] | number>>,
  { name = "lora.safetensors", metadata = {}, beside = {} as Record<string, unknown> } = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kandinsky-lora-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const named = Object.entries(tensors).map(([key, value]) => {
    const shape = typeof value === "number" ? [] : value;
    const size = shape.reduce((product, side) => product * side, 1);
    return {
      name: key,
      tensor: float32(shape, new Array<number>(size).fill(typeof value === "number" ? value : 0)),
    };
  });
  await writeSafetensors(join(folder, name), named, metadata);
  for (const [file, json] of Object.entries(beside))
    await writeFile(join(folder, file), JSON.stringify(json));
  return join(folder, name);
}

const TO_K = "down_blocks.1.attentions.1.attention.to_k";
const DOWN = [4, 40];
const UP = [8, 4];

async function normalForm(file: string) {
  const layers = matchLora(await inGolden(file), TINY);
  const values = layers.map(async ({ target, down, up, rank, scale }) => {
    const [a, b] = [await readTensor(down), await readTensor(up)];
    return [target, { rank, scale, down: a.data, up: b.data }] as const;
  });
  return new Map([...(await Promise.all(values))].sort(([a], [b]) => (a < b ? -1 : 1)));
}

test("matchLora gives both golden namings the same normal form, bit for bit", async () => {
  const diffusers = await normalForm("pytorch_lora_weights.safetensors");
  const kohya = await normalForm("kohya.safetensors");
  expect(diffusers.size).toBe(100);
  expect(kohya).toEqual(diffusers);
  for (const { rank, scale } of diffusers.values()) expect([rank, scale]).toEqual([4, 2]);
});

test.each([
  ["bad-shape", "tensor_shape", [`unet.${TO_K}.lora_A.weight`, "[4,13]", "[4,40]"]],
  ["bad-rank", "tensor_shape", [`unet.${TO_K}.lora_B.weight`, "[8,5]", "[8,4]"]],
  ["bad-half-pair", "tensor_missing", [`unet.${TO_K}.lora_A.weight`, "lora_B"]],
  [
    "bad-target",
    "tensor_unexpected",
    [
      "unet.mid_block.attentions.0.attn1.to_q.lora_A.weight",
      "unet.mid_block.attentions.0.attn1.to_q.lora_B.weight",
    ],
  ],
  ["bad-target-kohya", "tensor_unexpected", ["to_k_nope.lora_down", "to_k_nope.lora_up", "to_k_nope.alpha"]],
] as const)("matchLora refuses golden %s with %s and the names", async (name, code, words) => {
  const lora = await inGolden(`${name}.safetensors`);
  let error: unknown;
  try {
    matchLora(lora, TINY);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code });
  for (const word of words) expect((error as Error).message).toContain(word);
});

test("matchLora names ten offenders and counts the rest", async () => {
  const lora = await inGolden("pytorch_lora_weights.safetensors");
  expect(() => matchLora(lora, TINY.slice(0, 1))).toThrow(/and 19\d more/);
});

const NAMINGS: readonly (readonly [LoraNaming, string, string])[] = [
  ["diffusers", `unet.${TO_K}.lora_A.weight`, `unet.${TO_K}.lora_B.weight`],
  ["diffusers", `unet.${TO_K}.lora.down.weight`, `unet.${TO_K}.lora.up.weight`],
  ["peft", `base_model.model.${TO_K}.lora_A.weight`, `base_model.model.${TO_K}.lora_B.weight`],
  [
    "peft",
    `base_model.model.unet.${TO_K}.lora_A.default.weight`,
    `base_model.model.unet.${TO_K}.lora_B.default.weight`,
  ],
  ["comfyui", `diffusion_model.${TO_K}.lora_A.weight`, `diffusion_model.${TO_K}.lora_B.weight`],
];

test.each(NAMINGS)("readLora reads the naming of %s: %s", async (naming, down, up) => {
  const lora = await readLora(await makeLora({ [down]: DOWN, [up]: UP }));
  expect(lora.modules.map((module) => module.naming)).toEqual([naming]);
  expect(matchLora(lora, TINY)).toMatchObject([{ target: `${TO_K}.weight`, rank: 4, scale: 1 }]);
});

const PAIR = { [`unet.${TO_K}.lora_A.weight`]: DOWN, [`unet.${TO_K}.lora_B.weight`]: UP };
const about = (fields: object) => ({ metadata: { lora_adapter_metadata: JSON.stringify(fields) } });

test.each([
  ["nothing: the rank", {}, 1],
  ["the header's alpha", about({ "unet.lora_alpha": 8, "unet.r": 4 }), 2],
  ["a pattern for this layer", about({ "unet.lora_alpha": 8, "unet.alpha_pattern": { to_k: 2 } }), 0.5],
  ["a pattern for another layer", about({ "unet.lora_alpha": 8, "unet.alpha_pattern": { o_k: 2 } }), 2],
  ["a stabilised rank", about({ "unet.lora_alpha": 8, "unet.use_rslora": true }), 4],
] as const)("matchLora takes the scale from %s", async (_, given, scale) => {
  expect(matchLora(await readLora(await makeLora(PAIR, given)), TINY)).toMatchObject([{ scale }]);
});

test("readLora takes the alpha of a tensor before that of the header", async () => {
  const file = await makeLora({ ...PAIR, [`unet.${TO_K}.alpha`]: 1 }, about({ "unet.lora_alpha": 8 }));
  expect(matchLora(await readLora(file), TINY)).toMatchObject([{ scale: 0.25 }]);
});

test("readLora reads peft's settings beside adapter_model.safetensors, and misses them", async () => {
  const pair = {
    [`base_model.model.${TO_K}.lora_A.weight`]: DOWN,
    [`base_model.model.${TO_K}.lora_B.weight`]: UP,
  };
  const name = "adapter_model.safetensors";
  const whole = await makeLora(pair, { name, beside: { "adapter_config.json": { lora_alpha: 16, r: 4 } } });
  expect(matchLora(await readLora(whole), TINY)).toMatchObject([{ scale: 4 }]);
  await expect(readLora(await makeLora(pair, { name }))).rejects.toMatchObject({ code: "file_missing" });
});

test("readLora refuses settings and alphas that mean nothing", async () => {
  const broken = await makeLora(PAIR, { metadata: { lora_adapter_metadata: "{" } });
  await expect(readLora(broken)).rejects.toMatchObject({ code: "file_corrupt" });
  const wrong = await makeLora(PAIR, about({ "unet.lora_alpha": "eight" }));
  await expect(readLora(wrong)).rejects.toThrow(/lora_alpha/);
  const nan = await makeLora({ ...PAIR, [`unet.${TO_K}.alpha`]: Number.NaN });
  await expect(readLora(nan)).rejects.toThrow(/alpha.*NaN/);
});

test("matchLora takes convolutions, and refuses transposed ones, strangers and a layer given twice", async () => {
  const conv = "lora_unet_down_blocks_0_resnets_in_0_resnet_blocks_1_projection";
  const good = await readLora(
    await makeLora({ [`${conv}.lora_down.weight`]: [2, 4, 3, 3], [`${conv}.lora_up.weight`]: [4, 2, 1, 1] }),
  );
  expect(matchLora(good, TINY)).toMatchObject([
    { target: "down_blocks.0.resnets_in.0.resnet_blocks.1.projection.weight", rank: 2 },
  ]);
  const doubling = unetParameters(parseUNetConfig(config, "config.json")).find(({ name }) =>
    name.endsWith("shortcut_up_sample.weight"),
  )!;
  expect(TINY.map(({ name }) => name)).not.toContain(doubling.name);
  const strange = await readLora(await makeLora({ ...PAIR, [`unet.${TO_K}.lora_magnitude_vector`]: [8] }));
  expect(() => matchLora(strange, TINY)).toThrow(/lora_magnitude_vector/);
  const flat = `lora_unet_${TO_K.replaceAll(".", "_")}`;
  const twice = { ...PAIR, [`${flat}.lora_down.weight`]: DOWN, [`${flat}.lora_up.weight`]: UP };
  const both = await readLora(await makeLora(twice));
  expect(() => matchLora(both, TINY)).toThrow(/changed twice/);
});

test("targetOf finds every layer of the full-size U-Net by its flat name", () => {
  const names = unetLayerWeights(KANDINSKY3_UNET).map(({ name }) => name);
  const target = targetOf(names);
  const flat = names.map((name) => name.replace(/\.weight$/, "").replaceAll(".", "_"));
  expect(flat.map((module) => target({ naming: "kohya", module }))).toEqual(names);
});
