import { expect, test } from "vitest";
import {
  FLAN_UL2,
  KANDINSKY3_MOVQ,
  KANDINSKY3_UNET,
  MOVQ_CODEBOOK,
  movqParameters,
  parseMovqConfig,
  parseT5Config,
  parseUNetConfig,
  releasedConfig,
  t5Parameters,
  unetParameters,
} from "./mod.ts";

type Parameters = ReturnType<typeof movqParameters>;
const shapesOf = (parameters: Parameters) => new Map(parameters.map(({ name, shape }) => [name, shape]));

test("releasedConfig knows the released parts by their shapes, inpainting and a MoVQ without codes too", () => {
  const nine = { ...KANDINSKY3_UNET, inChannels: 9 };
  for (const config of [KANDINSKY3_UNET, nine]) {
    const json = releasedConfig("unet", shapesOf(unetParameters(config)));
    expect(parseUNetConfig(json, "")).toEqual(config);
  }
  const movq = shapesOf(movqParameters(KANDINSKY3_MOVQ));
  expect(parseMovqConfig(releasedConfig("movq", movq), "")).toEqual(KANDINSKY3_MOVQ);
  movq.delete(MOVQ_CODEBOOK);
  expect(parseMovqConfig(releasedConfig("movq", movq), "")).toEqual(KANDINSKY3_MOVQ);
  const text = shapesOf(t5Parameters(FLAN_UL2));
  expect(parseT5Config(releasedConfig("text_encoder", text), "")).toEqual(FLAN_UL2);
});

test("releasedConfig knows no other shapes, and nothing that has more or less", () => {
  const other = { ...KANDINSKY3_MOVQ, numVqEmbeddings: 64 };
  expect(releasedConfig("movq", shapesOf(movqParameters(other)))).toBeUndefined();
  const movq = shapesOf(movqParameters(KANDINSKY3_MOVQ));
  expect(releasedConfig("movq", new Map([...movq, ["more", [1]]]))).toBeUndefined();
  movq.delete("decoder.conv_in.weight");
  expect(releasedConfig("movq", movq)).toBeUndefined();
  expect(releasedConfig("unet", movq)).toBeUndefined();
});
