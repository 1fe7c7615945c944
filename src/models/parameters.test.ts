import { expect, test } from "vitest";
import { product } from "../base/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import {
  FLAN_UL2,
  KANDINSKY3_MOVQ,
  KANDINSKY3_UNET,
  movqParameters,
  parseMovqConfig,
  parseT5Config,
  parseUNetConfig,
  t5Parameters,
  unetParameters,
} from "./mod.ts";
import { readJsonFile, sortedByName, storedShapes } from "./test-support.ts";

const PARTS = {
  unet: (json: unknown) => unetParameters(parseUNetConfig(json, "config")),
  text_encoder: (json: unknown) => t5Parameters(parseT5Config(json, "config")),
  movq: (json: unknown) => movqParameters(parseMovqConfig(json, "config")),
} as const;

/** The embedding's other name, under which some files hold it a second time. */
const TIED = "encoder.embed_tokens.weight";

test.each([
  ["golden/tiny-k3/unet", ["diffusion_pytorch_model.safetensors"]],
  ["golden/tiny-k3/text_encoder", ["model.safetensors"]],
  ["golden/tiny-k3/movq", ["diffusion_pytorch_model.safetensors"]],
  ["golden/tiny-k3-inpaint/unet", ["diffusion_pytorch_model.safetensors"]],
  ["golden/tiny-k3-fp16/unet", ["diffusion_pytorch_model.bf16.safetensors"]],
  [
    "golden/tiny-k3-fp16/text_encoder",
    ["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"],
  ],
  ["models/nano/unet", ["diffusion_pytorch_model.safetensors"]],
  ["models/nano/text_encoder", ["model.safetensors"]],
  ["models/nano/movq", ["diffusion_pytorch_model.safetensors"]],
] as const)("parameters of %s are the names and shapes of its files", async (folder, files) => {
  const part = folder.split("/").at(-1) as keyof typeof PARTS;
  const made = PARTS[part](readJsonFile(`${folder}/config.json`));
  const stored = (await Promise.all(files.map((file) => storedShapes(`${folder}/${file}`)))).flat();
  expect(sortedByName(made)).toEqual(sortedByName(stored.filter(({ name }) => name !== TIED)));
});

function totals(shapes: readonly ParameterShape[]): [tensors: number, values: number] {
  expect(new Set(shapes.map(({ name }) => name)).size).toBe(shapes.length);
  return [shapes.length, shapes.reduce((sum, { shape }) => sum + product(shape), 0)];
}

test("unetParameters of the released models has their tensors", () => {
  const all = unetParameters(KANDINSKY3_UNET);
  expect(totals(all)).toEqual([1071, 3_055_348_228]);
  // The original keeps the text projection, three tensors, in a file of its own.
  const native = (inChannels: number) =>
    unetParameters({ ...KANDINSKY3_UNET, inChannels }).filter((p) => !p.name.startsWith("encoder_hid_proj"));
  expect(totals(native(4))).toEqual([1068, 3_038_562_820]);
  expect(totals(native(9))).toEqual([1068, 3_038_571_460]);
});

test("unetParameters of three levels: the last up level has attention, the first down level none", () => {
  const config = { ...KANDINSKY3_UNET, blockOutChannels: [384, 768, 1536] };
  const attended = (block: string, levels: readonly number[]) =>
    levels.filter((level) =>
      unetParameters({ ...config, blockOutChannels: levels.map((n) => 384 * 2 ** n) }).some(({ name }) =>
        name.startsWith(`${block}.${level}.attentions.`),
      ),
    );
  expect([attended("down_blocks", [0, 1, 2]), attended("up_blocks", [0, 1, 2])]).toEqual([
    [1, 2],
    [0, 1, 2],
  ]);
  expect([attended("down_blocks", [0, 1, 2, 3]), attended("up_blocks", [0, 1, 2, 3])]).toEqual([
    [1, 2, 3],
    [0, 1, 2],
  ]);
});

test("t5Parameters of FLAN-UL2 has the encoder's tensors", () => {
  // 292 with the tied copy of the embedding.
  expect(totals(t5Parameters(FLAN_UL2))).toEqual([291, 8_721_797_632]);
});

test("movqParameters of the released model has its tensors", () => {
  const all = movqParameters(KANDINSKY3_MOVQ);
  expect(totals(all)[1]).toBe(270_669_103);
  const valuesOf = (start: string) => totals(all.filter(({ name }) => name.startsWith(start)))[1];
  expect(["encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv."].map(valuesOf)).toEqual([
    109_485_316, 161_118_211, 65_536, 20, 20,
  ]);
});
