import { mkdtemp, readdir, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { readSafetensorsHeader, readTensorAsFloat32 } from "../checkpoint/mod.ts";
import type { UNetConfig } from "../models/mod.ts";
import type { Pass } from "../passes/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import { cast, float32, type Tensor } from "../tensor/mod.ts";
import { type LoraChoice, openUNet, withLoras, writeMerged } from "./adapt.node.ts";
import type { ModelPart } from "./model.node.ts";
import { PACK_FOLDER, PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import { UNetRunner } from "./unet-runner.node.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden", import.meta.url));
const LORA = join(GOLDEN, "lora", "pytorch_lora_weights.safetensors");
const KOHYA = join(GOLDEN, "lora", "kohya.safetensors");

let engine: Engine;
let passes: readonly Pass[];
beforeAll(async () => {
  engine = await startEngine({ device: "cpu", threads: 1 });
  passes = await passesFor(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

async function emptyFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-adapt-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const inputs = await (async () => {
  const { entries } = await readSafetensorsHeader(join(GOLDEN, "unet.safetensors"));
  const read = (name: string) => readTensorAsFloat32(entries.get(name)!);
  return { sample: await read("sample"), hidden: await read("encoder_hidden_states") };
})();

/** The prediction for the golden sample at one time, with packed weights below `root`. */
async function predict(root: string, { part, config }: ModelPart<UNetConfig>): Promise<Tensor<"float32">> {
  const runner = new UNetRunner({ engine, store: new PackStore(root, true, () => {}) }, part, config, passes);
  const { sample, hidden } = inputs;
  const [batch, length] = hidden.shape as [number, number, number];
  const prepared = await runner.prepare({
    context: await runner.project(hidden),
    maskBias: float32([batch, 1, 1, length], new Array<number>(batch * length).fill(0)),
    poolWeights: float32([batch, 1, length], new Array<number>(batch * length).fill(1 / length)),
    times: [500],
    height: sample.shape[2]!,
    width: sample.shape[3]!,
  });
  try {
    return await prepared.evaluate(sample, 0);
  } finally {
    await prepared.release();
    await runner.dispose();
  }
}

/** Packed files by name with the time of their writing and the tensors in them. */
async function packs(root: string) {
  const folder = join(root, PACK_FOLDER);
  const files = (await readdir(folder)).filter((name) => name.endsWith(".safetensors"));
  const rows = files.sort().map(async (name) => {
    const { entries, metadata } = await readSafetensorsHeader(join(folder, name));
    const targets = [...entries.keys()].map((key) => key.split("#")[0]!);
    const isAdapted = metadata["kandinsky_adapters"] !== undefined;
    return { name, isAdapted, targets, written: (await stat(join(folder, name))).mtimeMs };
  });
  return Promise.all(rows);
}

function worst(a: Tensor<"float32">, b: Tensor<"float32">): number {
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
}

test("withLoras packs only what changed, keeps one choice of weights, and without it the base is bit-equal", async () => {
  const root = await emptyFolder();
  const base = await openUNet(join(GOLDEN, "tiny-k3"));
  const adapted = async (...loras: LoraChoice[]) => (await withLoras(base, loras)).unet;
  const before = await predict(root, base);
  const own = await packs(root);

  const whole = await predict(root, await adapted({ file: LORA }));
  expect(worst(whole, before)).toBeGreaterThan(1e-3);
  const first = (await packs(root)).filter(({ isAdapted }) => isAdapted);
  const targets = first.flatMap((pack) => pack.targets);
  expect(targets).toHaveLength(100);
  expect(targets.every((name) => /\.(to_[qkv]|to_out\.0)\.weight$/.test(name))).toBe(true);

  expect(await predict(root, await adapted({ file: KOHYA }))).toEqual(whole);
  await predict(root, await adapted({ file: LORA, weight: 0.25 }));
  const last = await packs(root);
  const lastAdapted = last.filter(({ isAdapted }) => isAdapted).map(({ name }) => name);
  expect(lastAdapted.filter((name) => first.some((pack) => pack.name === name))).toEqual([]);
  expect(last.filter(({ isAdapted }) => !isAdapted)).toEqual(own);

  expect(await predict(root, await adapted({ file: LORA, weight: 0 }))).toEqual(before);
  expect(await predict(root, base)).toEqual(before);
});

test("withLoras: two at once sum, and opposite weights cancel", async () => {
  const root = await emptyFolder();
  const base = await openUNet(join(GOLDEN, "tiny-k3", "unet"));
  const run = async (loras: LoraChoice[]) => predict(root, (await withLoras(base, loras)).unet);
  const half = await run([{ file: LORA, weight: 0.5 }]);
  const sum = worst(
    await run([
      { file: LORA, weight: 0.2 },
      { file: KOHYA, weight: 0.3 },
    ]),
    half,
  );
  expect(sum, `worst difference ${sum}`).toBeLessThanOrEqual(2e-5);
  const none = worst(
    await run([
      { file: LORA, weight: 0.7 },
      { file: KOHYA, weight: -0.7 },
    ]),
    await predict(root, base),
  );
  expect(none, `worst difference ${none}`).toBeLessThanOrEqual(2e-5);
  const { loras } = await withLoras(base, [{ file: LORA, weight: 0.5 }, { file: KOHYA }]);
  expect(loras.map(({ name, weight }) => [name, weight])).toEqual([
    ["pytorch_lora_weights.safetensors", 0.5],
    ["kohya.safetensors", 1],
  ]);
  await expect(withLoras(base, [{ file: LORA, weight: Number.NaN }])).rejects.toMatchObject({
    code: "option_invalid",
  });
});

test("writeMerged writes what acts at run time, each tensor in its stored type", async () => {
  const root = await emptyFolder();
  for (const [name, folder] of [
    ["wide", "tiny-k3"],
    ["brain", "tiny-k3-fp16"],
  ] as const) {
    const base = await openUNet(join(GOLDEN, folder, "unet"));
    const adapted = await withLoras(base, [{ file: LORA, weight: 0.8 }]);
    const file = join(root, `${name}.safetensors`);
    await writeMerged(adapted, file);
    const { entries, metadata } = await readSafetensorsHeader(file);
    expect(JSON.parse(metadata["kandinsky_loras"]!)).toEqual(adapted.loras);
    const types = [...base.part.entries.values()].map((entry) => [entry.name, entry.dtype]);
    expect([...entries.values()].map((entry) => [entry.name, entry.dtype]).sort()).toEqual(types.sort());
    for (const key of ["conv_in.weight", "conv_out.bias"]) {
      const [a, b] = [entries.get(key)!, base.part.entries.get(key)!].map(readTensorAsFloat32);
      expect(await a).toEqual(await b);
    }
    const merged: ModelPart<UNetConfig> = { ...base, part: { ...base.part, entries } };
    const applied = await predict(root, adapted.unet);
    const difference = worst(await predict(root, merged), applied);
    // Rounding the sum to eight bits of mantissa is all that differs; in float32 nothing does.
    const size = cast(applied, "float32").data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const limit = name === "wide" ? 0 : 2e-2 * size;
    expect(difference, `${name}: worst difference ${difference} of ${size}`).toBeLessThanOrEqual(limit);
  }
});
