import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { KandinskyError } from "../../base/mod.ts";
import { KANDINSKY3_MOVQ, parseMovqConfig } from "./config.ts";

const PATH = fileURLToPath(new URL("../../../../golden/tiny-k3/movq/config.json", import.meta.url));
const TINY = JSON.parse(readFileSync(PATH, "utf8")) as Record<string, unknown>;

function errorOf(change: Record<string, unknown>): KandinskyError {
  try {
    parseMovqConfig({ ...TINY, ...change }, "movq/config.json");
  } catch (error) {
    if (error instanceof KandinskyError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

test("parseMovqConfig reads what diffusers writes, and nothing else", () => {
  expect(parseMovqConfig(TINY, PATH)).toEqual({
    inChannels: 3,
    outChannels: 3,
    blockOutChannels: [64, 32, 32, 32],
    layersPerBlock: 1,
    latentChannels: 4,
    numVqEmbeddings: 64,
    vqEmbedDim: 4,
    normNumGroups: 8,
    attentionLevels: [false, false, false, true],
  });
});

test("KANDINSKY3_MOVQ is what the released values parse to", () => {
  const released = {
    ...TINY,
    block_out_channels: [256, 512, 512, 1024],
    layers_per_block: 2,
    num_vq_embeddings: 16384,
    norm_num_groups: 32,
  };
  expect(parseMovqConfig(released, PATH)).toEqual(KANDINSKY3_MOVQ);
});

test("parseMovqConfig reads any level count, and attention where both halves have it", () => {
  const three = parseMovqConfig(
    {
      ...TINY,
      block_out_channels: [32, 64, 128],
      down_block_types: ["DownEncoderBlock2D", "AttnDownEncoderBlock2D", "DownEncoderBlock2D"],
      up_block_types: ["UpDecoderBlock2D", "AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
      vq_embed_dim: null,
    },
    PATH,
  );
  expect(three.attentionLevels).toEqual([false, true, false]);
  expect(three.vqEmbedDim).toBe(4);
});

test.each([
  ["norm_type", "group", '"spatial"'],
  ["act_fn", "relu", '"silu"'],
  ["mid_block_add_attention", false, "true"],
  ["latent_channels", 0, "whole number"],
  ["block_out_channels", [64, 32, 32, 36], "multiples of 8"],
  ["block_out_channels", [64, 32, 32, 40], "multiples of 32"],
  ["norm_num_groups", 7, "multiples of 7"],
  ["block_out_channels", [64, 32, 32], "3 blocks"],
  [
    "up_block_types",
    ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
    "attention",
  ],
  ["up_block_types", ["UNetMidBlock"], "AttnUpDecoderBlock2D"],
])("parseMovqConfig refuses %s = %j", (key, seen, wanted) => {
  const error = errorOf({ [key]: seen });
  expect(error.code).toBe("model_config");
  expect(error.parts.where).toContain("movq/config.json");
  expect(error.parts.wanted).toContain(wanted);
});

test("parseMovqConfig refuses another autoencoder", () => {
  const error = errorOf({ _class_name: "AutoencoderKL" });
  expect([error.code, error.parts.seen]).toEqual(["model_family", '"AutoencoderKL"']);
});
