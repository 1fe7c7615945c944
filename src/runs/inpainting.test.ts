import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildGraph } from "../graph/mod.ts";
import { decodePicture, encodePixels, type Picture, tensorFromPicture } from "../image/mod.ts";
import { interpret } from "../interp/mod.ts";
import {
  Kandinsky3,
  MovqRunner,
  maskedLatent,
  openModel,
  PackStore,
  passesFor,
  tellHole,
  withoutHole,
} from "../pipelines/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import { concatRows, float32, row, type Tensor } from "../tensor/mod.ts";
import { predictionOf } from "../train/mod.ts";
import { openFrozen } from "./frozen.node.ts";
import { inpaintingUNet, plainUNet, widened } from "./inpainting-unet.ts";
import { readRecords } from "./log.node.ts";
import { type RunConfig, type RunEvent, runTraining } from "./mod.ts";
import { tinyRun, writePictures, writeTinyModel } from "./test-support.ts";
import { firstWeights } from "./weights.node.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kandinsky-inpainting-"));
  await writePictures(join(root, "pictures"));
  await writeTinyModel(join(root, "model"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const SLOW = { timeout: 240_000 };

async function runAll(config: RunConfig, name: string, resume = false, stopAfter = Infinity) {
  const stop = new AbortController();
  const events: RunEvent[] = [];
  const folder = join(root, name);
  for await (const event of runTraining(config, { folder, resume, threads: 1, signal: stop.signal })) {
    events.push(event);
    if (event.type === "step" && event.record.update >= stopAfter) stop.abort();
  }
  return events;
}

const inpaintingRun = (changes: Readonly<Record<string, unknown>> = {}) =>
  tinyRun(root, { start: "model", inpainting: { everything: 0.2 }, ...changes });

test("widened: a U-Net of 9 channels predicts bit for bit what that of 4 does, whatever it is told", async () => {
  const model = await openModel(TINY);
  const key = keyOf(4);
  const [base, wide] = [plainUNet(model).config, inpaintingUNet(model).config];
  expect([base.inChannels, wide.inChannels, wide.outChannels]).toEqual([4, 9, 4]);
  const shape = { batch: 2, height: 8, width: 8, contextLength: 5 };
  const feeds = {
    timesteps: float32([1, 2], [950, 41]),
    encoder_hidden_states: normal(keyOf(6), [2, 5, base.encoderHidDim]),
    mask_bias: float32([2, 1, 1, 5], new Float32Array(10)),
    pool_weights: float32([2, 1, 5], new Float32Array(10).fill(0.2)),
  };
  const predict = async (config: typeof base, sample: Tensor) => {
    const weights = await firstWeights(model, config, "model", key);
    const graph = buildGraph((b) => ({ prediction: predictionOf(b, config, shape, "diffusers") }));
    return interpret(graph, { ...feeds, sample }, (name) => weights.get(name)!).get("prediction")!;
  };
  const noisy = normal(keyOf(5), [2, 4, 8, 8]);
  const told = normal(keyOf(7), [2, 5, 8, 8]);
  const rows = [0, 1].flatMap((i) => [...row(noisy, i).data, ...row(told, i).data]);
  const expected = await predict(base, noisy);
  expect(await predict(wide, float32([2, 9, 8, 8], rows))).toEqual(expected);
  expect(Math.max(...(expected.data as Float32Array).map(Math.abs))).toBeGreaterThan(0.1);
});

test("widened keeps the first input channels of every output, and is the weight itself for its own shape", () => {
  const weight = float32([2, 1, 1, 2], [1, 2, 3, 4]);
  expect([...widened(weight, [2, 3, 1, 2]).data]).toEqual([1, 2, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0]);
  expect(widened(weight, weight.shape)).toEqual(weight);
});

test(
  "runTraining for inpainting begins with the loss of the base model, and goes on bit for bit",
  SLOW,
  async () => {
    await runAll(tinyRun(root, { start: "model" }), "plain", false, 1);
    const [plain] = await readRecords(join(root, "plain"));
    await runAll(inpaintingRun(), "whole");
    const records = await readRecords(join(root, "whole"));
    const apart = Math.abs(records[0]!.loss / plain!.loss - 1);
    expect(apart, `first losses apart by ${apart}`).toBeLessThan(1e-6);
    expect(plain!.loss).toBeGreaterThan(0.1);

    await runAll(inpaintingRun(), "stopped", false, 2);
    const [resumed] = await runAll(inpaintingRun(), "stopped", true);
    expect(resumed).toEqual({ type: "resumed", update: 2, damaged: [] });
    const losses = async (name: string) => (await readRecords(join(root, name))).map(({ loss }) => loss);
    expect(await losses("stopped")).toEqual(await losses("whole"));
    const stateOf = async (name: string) => {
      const folder = join(root, name, "checkpoints");
      const last = (await readdir(folder)).sort().at(-1)!;
      return JSON.parse(await readFile(join(folder, last, "checkpoint.json"), "utf8")).sha256;
    };
    expect(await stateOf("stopped")).toBe(await stateOf("whole"));
  },
);

const photo: Picture = {
  width: 64,
  height: 64,
  data: Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 7 + 40 * Math.sin(i / 50)) % 256),
};

test(
  "runTraining for inpainting leaves a model that inpaints by 9 channels, and that trains on",
  SLOW,
  async () => {
    const sheets = { every: 100, prompts: ["a cat"], steps: 1 };
    await runAll(inpaintingRun({ sheets, stages: [SHORT] }), "drawn");
    const exported = join(root, "drawn", "model");
    const [, last] = (await readdir(join(root, "drawn", "sheets"))).sort();
    const sheet = await decodePicture(await readFile(join(root, "drawn", "sheets", last!)), "sheet");
    // The prompt, a picture with a hole, and the hole filled.
    expect([sheet.width, sheet.height]).toEqual([128, 3 * 64]);
    const [holed, filled] = [1, 2].map((i) => [
      ...sheet.data.subarray(3 * 128 * 64 * i, 3 * 128 * 64 * (i + 1)),
    ]);
    const grey = holed!.flatMap((value, i) =>
      i % 3 === 0 && value === 128 && holed![i + 1] === 128 ? [i] : [],
    );
    expect(grey.length).toBeGreaterThan(100);
    const kept = holed!.filter((value, i) => value === filled![i]).length / holed!.length;
    expect(kept).toBeGreaterThan(0.03);
    expect(kept).toBeLessThan(0.99);
    const opened = await openModel(exported);
    expect([opened.unet.config.inChannels, opened.unet.config.outChannels]).toEqual([9, 4]);
    expect((await openModel(join(root, "model"))).unet.config.inChannels).toBe(4);
    await using model = await Kandinsky3.load({ model: exported, threads: 1 });
    const mask = { from: "box", left: 16, top: 16, width: 32, height: 24 } as const;
    const events: unknown[] = [];
    const request = {
      operation: "inpaint",
      image: "photo.png",
      mask,
      prompt: "a cat",
      steps: 2,
      seed: 0,
    } as const;
    for await (const event of model.generate(request, { open: () => encodePixels(photo, "png") }))
      events.push(event);
    expect(events).toContainEqual(expect.objectContaining({ notice: "inpainting", by: "nine-channels" }));
    expect(events).toContainEqual(expect.objectContaining({ type: "picture" }));

    await runAll(inpaintingRun({ model: exported, stages: [SHORT] }), "further");
    expect((await openModel(join(root, "further", "model"))).unet.config.inChannels).toBe(9);
    const plain = runAll(tinyRun(root, { model: exported, start: "model" }), "refused");
    await expect(plain).rejects.toThrow(/is for inpainting.*9 input channels.*inpainting: \{\}/s);
  },
);

const SHORT = {
  name: "short",
  sizes: [{ width: 128, height: 64 }],
  batch: 2,
  samples: 4,
  learningRate: 1e-3,
};

test("tellHole: training and drawing tell the U-Net the same of a picture with a hole", SLOW, async () => {
  const opened = await openModel(TINY);
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const store = new PackStore(join(root, "packed"), true, () => {});
  const passes = await passesFor(engine);
  const { cell } = opened.info;
  const keep = Float32Array.from({ length: 64 * 64 }, (_, i) => (i % 64 > 20 && i > 64 * 30 ? 0 : 1));
  const movq = new MovqRunner({ engine, store }, opened.movq.part, opened.movq.config, passes);
  const drawn = await maskedLatent(photo, keep, { movq, cell });
  await movq.dispose();
  const frozen = openFrozen({ engine, store }, opened, 8, passes);
  const images = [tensorFromPicture(photo), withoutHole(photo, keep)];
  const latent = row(await frozen.latentsOf(images), 1);
  await frozen.dispose();
  const trained = tellHole(keep, photo, cell, concatRows([latent]));
  expect(trained.shape).toEqual([1, 5, 8, 8]);
  const worst = Math.max(...trained.data.map((value, i) => Math.abs(value - drawn.data[i]!)));
  expect(worst, `worst difference ${worst}`).toBeLessThan(1e-5);
});
