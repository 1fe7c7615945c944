import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { copyFile, cp, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { KandinskyError, product } from "../base/mod.ts";
import {
  readSafetensorsHeader,
  readTensor,
  writeSafetensors,
  writeSafetensorsStream,
} from "../checkpoint/mod.ts";
import { parseT5Config, t5Parameters } from "../models/mod.ts";
import { dequantize, fromRows, gridOf, quantize, SCHEMES, toRows } from "../quant/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import { cast, type Tensor } from "../tensor/mod.ts";
import {
  convertCheckpoints,
  EMBEDDED_MODEL,
  encodeText,
  inspectModel,
  Kandinsky3,
  openModel,
  openUNet,
  PackStore,
  planText,
  quantizable,
  quantizeModel,
  uniformPlan,
  WEIGHT_PARTS,
  type WeightPrecision,
  writeMerged,
} from "./mod.ts";
import type { Precision } from "./plan.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-quantize-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function quantized(source: string, precision: WeightPrecision, parts = WEIGHT_PARTS) {
  const output = join(await temporaryFolder(), "model");
  const model = await openModel(source);
  const plans = new Map(parts.map((name) => [name, uniformPlan(model, name, precision)]));
  const results = await quantizeModel(model, output, plans);
  return { model, output, results };
}

test.each(["int8", "int4"] as const)(
  "quantizeModel of the tiny model at %s: stored codes stand for exactly what was chosen",
  async (precision) => {
    const { model, output, results } = await quantized(TINY, precision);
    const again = await openModel(output);
    let rounded = 0;
    for (const name of ["text", "unet", "movq"] as const) {
      const partName = name === "text" ? "text_encoder" : name;
      const weights = new Map(quantizable(model, partName).map((weight) => [weight.name, weight]));
      // Every fifth, as each is a file to open.
      for (const [key, entry] of [...model[name].part.entries].filter((_, i) => i % 5 === 0)) {
        const original = cast(await readTensor(entry), "float32");
        const stored = await readTensor(again[name].part.entries.get(key)!);
        const weight = weights.get(key);
        if (weight === undefined) {
          expect(stored, key).toEqual(cast(original, "float16"));
          continue;
        }
        rounded++;
        const { order, isTable } = weight;
        const grid = gridOf(order, entry.shape);
        const scheme = SCHEMES[isTable || name === "movq" ? "int8" : precision];
        const codes = quantize(toRows(order, original), grid, scheme);
        expect(stored, key).toEqual(fromRows(order, entry.shape, dequantize(codes, grid, scheme)));
      }
    }
    expect(rounded).toBeGreaterThan(20);
    for (const { part, file, bytes } of results) {
      expect(file).toBe(join(output, part, part === "text_encoder" ? "model.safetensors" : MODEL_FILE));
      const { entries } = await readSafetensorsHeader(file);
      const seen = [...entries.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(seen, part).toBe(bytes);
    }
  },
);

const MODEL_FILE = "diffusion_pytorch_model.safetensors";

test("quantizeModel copies all else, and inspect tells the types", async () => {
  const { output } = await quantized(TINY, "int4", ["unet"] as never);
  for (const file of [
    "model_index.json",
    "tokenizer/spiece.model",
    `movq/${MODEL_FILE}`,
    "unet/config.json",
  ]) {
    expect(readFileSync(join(output, file)), file).toEqual(readFileSync(join(TINY, file)));
  }
  expect(readdirSync(join(output, "unet")).sort()).toEqual(["config.json", MODEL_FILE]);
  const { parts } = await inspectModel(output);
  const unet = parts.find(({ name }) => name === "unet")!;
  expect(unet.dtypes).toEqual(["float16", "q4"]);
  const file = statSync(join(output, "unet", MODEL_FILE)).size;
  expect(unet.storedBytes).toBeLessThan(file);
  expect(unet.storedBytes).toBeGreaterThan(0.5 * file);
});

test("quantizeModel leaves nothing behind where it fails, and never writes over a folder", async () => {
  const { model, output } = await quantized(TINY, "fp16", ["movq"] as never);
  const plans = new Map([["movq", uniformPlan(model, "movq", "int8")]] as const);
  const taken = await quantizeModel(model, output, plans).catch((error: KandinskyError) => error);
  expect((taken as KandinskyError).code).toBe("output_exists");
  const folder = await temporaryFolder();
  const stopped = await quantizeModel(model, join(folder, "stopped"), plans, {
    onWritten: () => {
      throw new KandinskyError("cancelled", { what: "stopped" });
    },
  }).catch((error: KandinskyError) => error);
  expect((stopped as KandinskyError).code).toBe("cancelled");
  expect(readdirSync(folder)).toEqual([]);
});

test("convertCheckpoints refuses quantised weights, and merging a LoRA widens them", async () => {
  const { model, output } = await quantized(TINY, "int8", ["unet"] as never);
  const file = join(output, "unet", MODEL_FILE);
  const refused = await convertCheckpoints([file], join(output, "again.safetensors"), () => {}).catch(
    (error: KandinskyError) => error,
  );
  expect([(refused as KandinskyError).code, (refused as KandinskyError).parts.where]).toEqual([
    "tensor_dtype",
    file,
  ]);
  const merged = join(output, "merged.safetensors");
  const unet = await openUNet(output);
  await writeMerged({ unet, loras: [] }, merged);
  const { entries } = await readSafetensorsHeader(merged);
  const name = quantizable(model, "unet")[0]!.name;
  expect(await readTensor(entries.get(name)!)).toEqual(await readTensor(unet.part.entries.get(name)!));
});

test("openModel names an unknown version of quantisation, and the file", async () => {
  const { output } = await quantized(TINY, "int8", ["movq"] as never);
  const file = join(output, "movq", MODEL_FILE);
  const { entries, metadata } = await readSafetensorsHeader(file);
  const tensors: { name: string; tensor: Tensor }[] = [];
  for (const [name, entry] of entries) tensors.push({ name, tensor: await readTensor(entry) });
  const rewrite = async (text: string) => {
    await writeSafetensors(`${file}.new`, tensors, { kandinsky_quantization: text });
    await copyFile(`${file}.new`, file);
    return openModel(output).catch((error: KandinskyError) => error) as Promise<KandinskyError>;
  };
  const text = metadata["kandinsky_quantization"]!;
  const version = await rewrite(text.replace('"version":1', '"version":7'));
  expect([version.code, version.parts.where, version.parts.seen]).toEqual([
    "quantization_unknown",
    file,
    "version 7",
  ]);
  // Codes for another number of bits than the metadata says.
  const bits = await rewrite(text.replace('"bits":8', '"bits":4'));
  expect(bits.code).toBe("file_corrupt");
  expect(bits.parts.where).toContain(file);
});

const DRAWN = ["two red apples", "панда", "a fox on a pink background"];

async function draw(model: Kandinsky3): Promise<Uint8Array[]> {
  const pictures: Uint8Array[] = [];
  for await (const event of model.generate({ prompt: DRAWN, seed: 3, steps: 6 })) {
    if (event.type === "picture") pictures[event.job.index] = event.picture.data;
  }
  return pictures;
}

/** Peak signal over noise of 8-bit pictures, in dB. */
function decibels(a: Uint8Array, b: Uint8Array): number {
  const power = a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length;
  return 10 * Math.log10(255 ** 2 / power);
}

test.each([
  ["int8", 40],
  ["int4", 22],
] as const)(
  "Kandinsky3 draws with nano at %s nearly what it draws without: %i dB in the median of three",
  async (precision, least) => {
    const { output } = await quantized(EMBEDDED_MODEL, precision, ["text_encoder", "unet"] as never);
    const [plain, rounded] = [
      await Kandinsky3.load({ cache: false, threads: 1 }),
      await Kandinsky3.load({ model: output, threads: 1 }),
    ];
    const expected = await draw(plain);
    const each = (await draw(rounded)).map((data, i) => decibels(data, expected[i]!));
    const seen = each.toSorted((a, b) => a - b)[1]!;
    await plain.dispose();
    await rounded.dispose();
    expect(seen, `${each} dB`).toBeGreaterThanOrEqual(least);
    // Beside the model lie rounded weights and no widened ones.
    const packed = readdirSync(join(output, ".kandinsky")).map(
      (name) => statSync(join(output, ".kandinsky", name)).size,
    );
    const unet = statSync(join(EMBEDDED_MODEL, "unet", MODEL_FILE)).size;
    expect(Math.max(...packed)).toBeLessThan((precision === "int8" ? 0.75 : 0.5) * unet);
  },
  120_000,
);

test.each([
  ["int8", 0.999],
  ["int4", 0.98],
] as const)(
  "encodeText at %s: cosine to float32, averaged over tokens, at least %d",
  async (precision, least) => {
    const { tokenizer, text } = await openModel(EMBEDDED_MODEL);
    await using engine = await startEngine({ device: "cpu", threads: 1 });
    const store = new PackStore(await temporaryFolder(), true, () => {});
    const pictures = ["two red apples", "кот на розовом фоне"].map((prompt, index) => ({
      prompt,
      negative: "",
      index,
      seed: 0,
    }));
    const plan = planText(tokenizer, pictures as never, { profile: "diffusers", guided: true, joint: false });
    const encode = (wanted: Precision) =>
      encodeText({ engine, store }, text.part, text.config, plan, { precision: wanted });
    const [expected, seen] = [(await encode("stored")).data, (await encode(precision)).data];
    const width = text.config.dModel;
    const cosines = Array.from({ length: expected.length / width }, (_, token) => {
      const [a, b] = [expected, seen].map((all) => all.subarray(token * width, (token + 1) * width)) as [
        Float32Array,
        Float32Array,
      ];
      const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
      return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    });
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    expect(mean, `mean cosine ${mean}, least ${Math.min(...cosines)}`).toBeGreaterThanOrEqual(least);
    expect(mean).toBeLessThan(1);
  },
  60_000,
);

test("quantizeModel has few tensors in memory, whatever the file's size", { timeout: 240_000 }, async () => {
  const folder = await temporaryFolder();
  const source = join(folder, "large");
  await cp(TINY, source, { recursive: true });
  const text = join(source, "text_encoder");
  // 12 matrices of 16.8 million weights in a file of 403 MB; the rest of the part is small.
  const config = {
    ...JSON.parse(readFileSync(join(text, "config.json"), "utf8")),
    d_ff: 2 ** 19,
    num_layers: 4,
  };
  await writeFile(join(text, "config.json"), JSON.stringify(config));
  const piece = Uint16Array.from({ length: 2 ** 20 }, (_, i) => 0x2000 + ((i * 40503) & 0x87ff));
  const tensors = t5Parameters(parseT5Config(config, "text_encoder")).map(({ name, shape }) => ({
    name,
    dtype: "float16" as const,
    shape,
    values: function* () {
      for (let left = product(shape); left > 0; left -= piece.length) yield piece.subarray(0, left);
    },
  }));
  await rm(join(text, "model.safetensors"));
  await writeSafetensorsStream(join(text, "model.safetensors"), tensors, {}, () => {});
  const script = `
    import { openModel, quantizeModel, uniformPlan } from ${JSON.stringify(new URL("./mod.js", import.meta.url).href)};
    const model = await openModel(${JSON.stringify(source)});
    const before = process.resourceUsage().maxRSS;
    const plans = new Map([["text_encoder", uniformPlan(model, "text_encoder", "int4")]]);
    await quantizeModel(model, ${JSON.stringify(join(folder, "small"))}, plans);
    console.log(JSON.stringify([before, process.resourceUsage().maxRSS].map((kilobytes) => kilobytes * 1024)));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(child.stderr).toBe("");
  const [before, peak] = JSON.parse(child.stdout) as [number, number];
  expect(statSync(join(text, "model.safetensors")).size).toBeGreaterThan(400e6);
  console.info(
    `memory of quantizeModel: ${Math.round(peak / 1e6)} MB, ${Math.round(before / 1e6)} MB before`,
  );
  // A tensor takes 84 MB as float32 and codes; the collector lets a few lie.
  expect(peak - before, "bytes at the peak").toBeLessThan(5 * 84e6);
});
