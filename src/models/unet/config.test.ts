import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KandinskyError } from "../../base/mod.ts";
import { KANDINSKY3_UNET, parseUNetConfig, widenUNetJson } from "./config.ts";

function golden(name: string): Record<string, unknown> {
  const path = new URL(`../../../../golden/${name}/unet/config.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
}

/** The released unet/config.json. */
const RELEASED = {
  _class_name: "Kandinsky3UNet",
  attention_head_dim: 64,
  block_out_channels: [384, 768, 1536, 3072],
  cross_attention_dim: 4096,
  encoder_hid_dim: 4096,
  groups: 32,
  in_channels: 4,
  layers_per_block: 3,
  time_embedding_dim: 1536,
};

/** The same network in the words of the original class. */
const ORIGINAL = {
  _class_name: "UNet2DConditionModel",
  model_channels: 384,
  num_channels: 4,
  init_channels: 192,
  time_embed_dim: 1536,
  context_dim: 4096,
  groups: 32,
  head_dim: 64,
  expansion_ratio: 4,
  compression_ratio: 2,
  dim_mult: [1, 2, 4, 8],
  num_blocks: [3, 3, 3, 3],
  add_cross_attention: [false, true, true, true],
  add_self_attention: [false, true, true, true],
};

function errorOf(json: unknown): KandinskyError {
  try {
    parseUNetConfig(json, "unet/config.json");
  } catch (error) {
    if (error instanceof KandinskyError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

test("parseUNetConfig reads what diffusers writes, and nothing else", () => {
  expect(parseUNetConfig(golden("tiny-k3"), "x")).toEqual({
    inChannels: 4,
    outChannels: 4,
    blockOutChannels: [8, 8, 8, 16],
    layersPerBlock: 3,
    groups: 2,
    attentionHeadDim: 4,
    timeEmbeddingDim: 24,
    crossAttentionDim: 40,
    encoderHidDim: 32,
  });
});

test("parseUNetConfig: an inpainting U-Net makes 4 channels of 9, with and without the key", () => {
  const json = golden("tiny-k3-inpaint");
  const { out_channels: declared, ...rest } = json;
  expect(declared).toBe(4);
  for (const config of [json, rest].map((c) => parseUNetConfig(c, "x"))) {
    expect([config.inChannels, config.outChannels, config.blockOutChannels]).toEqual([9, 4, [8, 8, 16]]);
  }
  expect(parseUNetConfig({ ...RELEASED, in_channels: 3 }, "x").outChannels).toBe(3);
});

test("widenUNetJson adds input channels in both dialects, and leaves all else as it is", () => {
  for (const json of [RELEASED, ORIGINAL]) {
    const wide = widenUNetJson(json, KANDINSKY3_UNET, 5);
    expect(parseUNetConfig(wide, "x")).toEqual({ ...KANDINSKY3_UNET, inChannels: 9 });
    expect(Object.keys(wide)).toEqual(expect.arrayContaining(Object.keys(json)));
  }
});

test("parseUNetConfig reads both dialects to one configuration", () => {
  expect(parseUNetConfig(RELEASED, "x")).toEqual(KANDINSKY3_UNET);
  expect(parseUNetConfig(ORIGINAL, "x")).toEqual(KANDINSKY3_UNET);
  const lists = { ...RELEASED, layers_per_block: [3, 3, 3, 3], cross_attention_dim: [4096, 4096] };
  expect(parseUNetConfig(lists, "x")).toEqual(KANDINSKY3_UNET);
});

test.each([1, 2, 3, 4, 5])("parseUNetConfig reads %i levels", (levels) => {
  const block_out_channels = Array.from({ length: levels }, () => 128);
  expect(parseUNetConfig({ ...RELEASED, block_out_channels }, "x").blockOutChannels).toHaveLength(levels);
});

test.each([
  ["layers_per_block", 1, "at least 2"],
  ["layers_per_block", [3, 3, 2, 3], "same number"],
  ["groups", 0, "whole number"],
  ["groups", 5, "divides every normalised width"],
  ["groups", 384, "such as 192"],
  ["attention_head_dim", 60, "divides every width with attention"],
  ["time_embedding_dim", 1500, "time_embedding_dim"],
  ["block_out_channels", [], "at least one level"],
  ["block_out_channels", [6, 8], "multiple of 4"],
  ["block_out_channels", [384, 769], "even"],
  ["block_out_channels", "384", "list"],
  ["cross_attention_dim", null, "whole number"],
  ["encoder_hid_dim", undefined, "whole number"],
])("parseUNetConfig refuses %s = %j", (key, seen, wanted) => {
  const error = errorOf({ ...RELEASED, [key]: seen });
  expect(error.code).toBe("model_config");
  expect(error.parts.where).toContain("unet/config.json");
  expect(error.parts.wanted).toContain(wanted);
});

test("parseUNetConfig wants whole heads only where there is attention", () => {
  const heads = (...block_out_channels: number[]) => ({ ...RELEASED, block_out_channels, groups: 1 });
  const refused = (json: unknown) => errorOf(json).parts.where?.includes('"attention_head_dim"');
  // Four levels: 96 meets attention as the second level's input, its half nowhere.
  expect(refused(heads(96, 128, 128, 128))).toBe(true);
  expect(parseUNetConfig(heads(64, 128, 128, 128), "x").attentionHeadDim).toBe(64);
  // Fewer levels: the last up level has attention at half the first width.
  expect(refused(heads(64, 128, 128))).toBe(true);
  expect(parseUNetConfig(heads(128, 128, 128), "x").attentionHeadDim).toBe(64);
  // More: the first width meets attention on the way down only.
  expect(refused(heads(96, 128, 128, 128, 128))).toBe(true);
});

test.each([
  ["init_channels", 384, "half"],
  ["num_blocks", [1, 1, 1, 1], "at least 2"],
  ["num_blocks", [3, 3, 3, 2], "same number"],
  ["expansion_ratio", 2, "4"],
  ["add_self_attention", [true, true, true, true], "false for the first level"],
])("parseUNetConfig refuses %s = %j in the original's words", (key, seen, wanted) => {
  const error = errorOf({ ...ORIGINAL, [key]: seen });
  expect(error.code).toBe("model_config");
  expect(error.parts.where).toContain(`"${key}"`);
  expect(error.parts.wanted).toContain(wanted);
});

test("parseUNetConfig refuses Stable Diffusion's U-Net", () => {
  const error = errorOf({ _class_name: "UNet2DConditionModel", block_out_channels: [320, 640] });
  expect([error.code, error.parts.seen]).toEqual(["model_family", '"UNet2DConditionModel"']);
});
