import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LORA_FILES } from "../adapters/mod.ts";
import {
  readSafetensorsHeader,
  readTensor,
  readTensorAsFloat32,
  writeSafetensors,
} from "../checkpoint/mod.ts";
import { Kandinsky3 } from "../pipelines/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { type RunConfig, runTraining, smokeOf } from "./mod.ts";
import { tinyLoraRun, writePictures, writeTinyModel } from "./test-support.ts";

/** Every run starts two or three engines. */
const SLOW = { timeout: 240_000 };

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kandinsky-lora-run-"));
  await writePictures(join(root, "pictures"));
  await writeTinyModel(join(root, "model"));
}, SLOW.timeout);
afterAll(() => rm(root, { recursive: true, force: true }));

/** Runs a config; `onExport` is called after each export with its folder. */
async function run(
  config: RunConfig,
  folder: string,
  options: { resume?: boolean; stopAfter?: number; onExport?: (folder: string) => Promise<void> } = {},
): Promise<void> {
  const { resume = false, stopAfter = Infinity, onExport } = options;
  const stop = new AbortController();
  for await (const event of runTraining(config, { folder, resume, threads: 1, signal: stop.signal })) {
    if (event.type === "exported") await onExport?.(event.folder);
    if (event.type === "step" && event.record.update >= stopAfter) stop.abort();
  }
}

async function stateFile(folder: string): Promise<string> {
  const last = (await readdir(join(folder, "checkpoints"))).sort().at(-1)!;
  return join(folder, "checkpoints", last, "state.safetensors");
}

/** The final latent of a picture, and the picture. */
async function draw(model: string, lora?: string) {
  const loras = lora === undefined ? [] : [{ file: lora }];
  await using drawer = await Kandinsky3.load({ model, loras, threads: 1, cache: false });
  // Without clipping, which would hide what differs.
  const size = { width: 128, height: 64 };
  const request = { prompt: "picture 3", ...size, steps: 2, guidance: 1, seed: 7, clip: 1000 };
  let latent = new Float32Array();
  let picture = new Uint8Array();
  for await (const event of drawer.generate(request)) {
    if (event.type === "step") latent = new Float32Array(event.state.current!.sampler.x.data);
    if (event.type === "picture") picture = new Uint8Array(event.picture.data);
  }
  return { latent, picture };
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

/** A copy of the tiny model with the weights of a checkpoint worked in by hand: W + alpha / rank * B A. */
async function mergedModel(state: string, scale: number): Promise<string> {
  const folder = join(root, "merged");
  await cp(join(root, "model"), folder, { recursive: true });
  const file = join(folder, "unet/diffusion_pytorch_model.safetensors");
  const base = (await readSafetensorsHeader(file)).entries;
  const trained = (await readSafetensorsHeader(state)).entries;
  const tensors = [];
  for (const [name, entry] of base) {
    const weight = await readTensorAsFloat32(entry);
    const half = (which: string) =>
      trained.get(`average/0/${name.replace(/weight$/, `lora_${which}.weight`)}`);
    const [down, up] = [half("A"), half("B")];
    if (down === undefined || up === undefined) {
      tensors.push({ name, tensor: weight });
      continue;
    }
    const [a, b] = [
      (await readTensor(down)).data as Float32Array,
      (await readTensor(up)).data as Float32Array,
    ];
    const rank = down.shape[0]!;
    const columns = a.length / rank;
    const data = weight.data.map((value, i) => {
      const [o, c] = [Math.floor(i / columns), i % columns];
      const sum = Array.from({ length: rank }, (_, r) => b[o * rank + r]! * a[r * columns + c]!);
      return value + scale * sum.reduce((x, y) => x + y, 0);
    });
    tensors.push({ name, tensor: float32(weight.shape, data) });
  }
  await writeSafetensors(file, tensors, {});
  return folder;
}

test(
  "runTraining of a LoRA begins as the model, exports what it trained in three namings, and goes on bit for bit",
  SLOW,
  async () => {
    const config = tinyLoraRun(root);
    const [whole, stopped, first] = [join(root, "whole"), join(root, "stopped"), join(root, "first")];
    await run(config, whole, {
      onExport: async (folder) => {
        await cp(folder, first, { recursive: true, errorOnExist: false, force: false });
      },
    });
    await run(config, stopped, { stopAfter: 2 });
    await run(config, stopped, { resume: true });
    expect((await readFile(await stateFile(stopped))).equals(await readFile(await stateFile(whole)))).toBe(
      true,
    );

    const base = await draw(join(root, "model"));
    const began = await draw(join(root, "model"), join(first, LORA_FILES.diffusers));
    expect(worst(began.latent, base.latent)).toBe(0);
    const merged = await draw(await mergedModel(await stateFile(whole), 2));
    const change = worst(merged.latent, base.latent);
    expect(change).toBeGreaterThan(0.005);
    for (const [naming, file] of Object.entries(LORA_FILES)) {
      const drawn = await draw(join(root, "model"), join(whole, "lora", file));
      const difference = worst(drawn.latent, merged.latent);
      const told = `${naming}: worst difference ${difference}, of a change of ${change}`;
      expect(difference / change, told).toBeLessThan(1e-4);
      expect(worst(drawn.picture, merged.picture), told).toBeLessThanOrEqual(1);
    }
    // No weight of the model is in a checkpoint.
    const names = [...(await readSafetensorsHeader(await stateFile(whole))).entries.keys()];
    expect(names.every((name) => /\.lora_[AB]\.weight$/.test(name))).toBe(true);
  },
);

test("runTraining of a LoRA: mistakes are told before anything is trained", SLOW, async () => {
  const out = join(root, "mistakes");
  expect(() => tinyLoraRun(root, { rank: 0 })).toThrow(/rank/);
  expect(() => tinyLoraRun(root, { targets: [] })).toThrow(/targets/);
  const pattern = run(tinyLoraRun(root, { targets: ["to_q", "attn2.to_z"] }), out);
  await expect(pattern).rejects.toMatchObject({
    code: "option_invalid",
    message: expect.stringMatching(/"attn2.to_z".*to_k/s),
  });
  await mkdir(join(root, "empty"));
  await writeFile(join(root, "empty", "notes.txt"), "no picture");
  const data = { kind: "files", paths: [join(root, "empty")] };
  await expect(run(tinyLoraRun(root, { data }), out)).rejects.toMatchObject({ code: "input_missing" });
  const other = join(root, "other");
  await mkdir(other);
  await writeFile(join(other, "model_index.json"), '{"_class_name": "StableDiffusionXLPipeline"}');
  await expect(run(tinyLoraRun(root, { model: other }), out)).rejects.toMatchObject({ code: "model_family" });
});

test("smokeOf draws few pictures for a prior", () => {
  expect(smokeOf(tinyLoraRun(root), 1)).toMatchObject({ prior: { samples: 2, steps: 2 } });
});
