import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { readSafetensorsHeader, readTensor } from "../checkpoint/mod.ts";
import { parseUNetConfig, unetLayerWeights } from "../models/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import {
  ATTENTION_LAYERS,
  LORA_FILES,
  type LoraNaming,
  matchLora,
  moduleOf,
  type NewLora,
  newChanges,
  readLora,
  writeLora,
} from "./mod.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden", import.meta.url));
const config = JSON.parse(await readFile(join(GOLDEN, "tiny-k3", "unet", "config.json"), "utf8")) as unknown;
const TINY = unetLayerWeights(parseUNetConfig(config, "config.json"));

function drawnLora(targets: readonly string[], rank: number, alpha: number): NewLora {
  const layers = newChanges(TINY, { targets, rank, alpha }).map(({ target, down, up }) => ({
    module: moduleOf(target),
    down: normal(keyOf(1), down.shape),
    up: normal(keyOf(2), up.shape),
  }));
  return { layers, rank, alpha, base: "tiny" };
}

async function written(lora: NewLora): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kandinsky-lora-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeLora(folder, lora);
  return folder;
}

test("writeLora and readLora: every naming gives back layers, scale and values, bit for bit", async () => {
  const lora = drawnLora(
    ["down_blocks.1.attentions.1.attention.to_k", "resnets_in.0.resnet_blocks.1.projection"],
    3,
    6,
  );
  const folder = await written(lora);
  expect(lora.layers.some(({ up }) => up.shape.length === 4)).toBe(true);
  for (const [naming, file] of Object.entries(LORA_FILES)) {
    const read = await readLora(join(folder, file));
    expect(new Set(read.modules.map((module) => module.naming))).toEqual(new Set([naming]));
    const layers = new Map(matchLora(read, TINY).map((layer) => [moduleOf(layer.target), layer]));
    expect(layers.size).toBe(lora.layers.length);
    for (const { module, down, up } of lora.layers) {
      const layer = layers.get(module)!;
      expect([layer.rank, layer.scale], module).toEqual([3, 2]);
      expect(await readTensor(layer.down)).toEqual(down);
      expect(await readTensor(layer.up)).toEqual(up);
    }
  }
});

test.each([
  ["diffusers", "pytorch_lora_weights.safetensors"],
  ["kohya", "kohya.safetensors"],
] as const)(
  "writeLora in the naming of %s has the names, shapes and settings of peft's golden file",
  async (naming, golden) => {
    const folder = await written(drawnLora(ATTENTION_LAYERS, 4, 8));
    const shapesIn = async (file: string) => {
      const { entries, metadata } = await readSafetensorsHeader(file);
      const shapes = [...entries.values()].map(({ name, shape }) => [name, shape] as const);
      return { shapes: Object.fromEntries(shapes.sort(([a], [b]) => (a < b ? -1 : 1))), metadata };
    };
    const ours = await shapesIn(join(folder, LORA_FILES[naming satisfies LoraNaming]));
    const theirs = await shapesIn(join(GOLDEN, "lora", golden));
    expect(ours.shapes).toEqual(theirs.shapes);
    const about = ({ metadata }: typeof ours) => ({
      ...metadata,
      ...JSON.parse(metadata["lora_adapter_metadata"] ?? "{}"),
      lora_adapter_metadata: undefined,
      // Peft keeps the patterns; a list of the layers themselves means the same to it.
      "unet.target_modules": undefined,
    });
    expect(about(ours)).toMatchObject(about(theirs));
  },
);

test("newChanges takes ends of names and stars, and names a pattern that nothing fits", () => {
  const modules = (...targets: string[]) =>
    newChanges(TINY, { targets, rank: 1, alpha: 1 }).map(({ target }) => moduleOf(target));
  const queries = modules("to_q");
  expect(queries.length).toBe(25);
  expect(queries.every((module) => module.endsWith(".to_q"))).toBe(true);
  expect(modules("down_blocks.*.to_q").length).toBeLessThan(25);
  expect(modules("*").length).toBe(TINY.length);
  expect(modules(queries[0]!)).toEqual([queries[0]]);
  expect(() => modules("to_q", "o_q")).toThrow(/no layer.*targets: seen "o_q".*to_k/s);
});
