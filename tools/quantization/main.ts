import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  calibrate,
  EMBEDDED_MODEL,
  encodeText,
  Kandinsky3,
  type OpenedModel,
  openModel,
  PackStore,
  type PrecisionPlan,
  planText,
  planWithin,
  quantizeModel,
  uniformPlan,
  type WeightPartName,
} from "../../src/pipelines/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
import type { Tensor } from "../../src/tensor/mod.ts";
import { decibels, meanCosine, median } from "./figures.ts";

/**
 * `node dist/tools/quantization/main.js [PROMPTS]`: the embedded model at int8 and int4 beside float32, on the same
 * noise. Prints bytes, median PSNR of pictures and cosine of text, and fails where one misses its bar.
 */

interface Bar {
  readonly name: "int8" | "int4";
  /** Share of the fp16 bytes, at most. */
  readonly size: number;
  readonly decibels: number;
  readonly cosine: number;
  readonly plan: (model: OpenedModel, size: number) => Promise<ReadonlyMap<WeightPartName, PrecisionPlan>>;
}

const PARTS = ["text_encoder", "unet", "movq"] as const;
const CALIBRATION_PROMPTS = ["two red apples on a white plate", "кот сидит на розовом фоне"];
const STEPS = 25;

const BARS: readonly Bar[] = [
  {
    name: "int8",
    size: 0.56,
    decibels: 45,
    cosine: 0.999,
    plan: async (model) => new Map(PARTS.map((name) => [name, uniformPlan(model, name, "int8")])),
  },
  {
    name: "int4",
    size: 0.34,
    decibels: 28,
    cosine: 0.99,
    plan: async (model, size) => {
      const measured = await calibrate(model, PARTS, { prompts: CALIBRATION_PROMPTS });
      return planWithin(model, PARTS, "int4", measured, size);
    },
  },
];

/** Subjects of the model one after the other, every second in Russian, none of them drawn for calibration. */
function promptsOf(count: number): string[] {
  const file = join(EMBEDDED_MODEL, "subjects.json");
  const subjects: readonly { readonly labels: Readonly<Record<string, string>>; readonly style: string }[] =
    JSON.parse(readFileSync(file, "utf8"));
  return subjects
    .slice(0, count)
    .map(({ labels, style }, i) => `${labels[i % 2 === 0 ? "en" : "ru"]}, ${style} style`);
}

async function draw(model: string, prompts: readonly string[]): Promise<Uint8Array[]> {
  await using loaded = await Kandinsky3.load({ model });
  const pictures: Uint8Array[] = [];
  for await (const event of loaded.generate({ prompt: [...prompts], seed: 0, steps: STEPS }))
    if (event.type === "picture") pictures[event.job.index] = event.picture.data;
  return pictures;
}

/** The states of every prompt's tokens. */
async function encode(
  path: string,
  prompts: readonly string[],
  folder: string,
): Promise<Tensor<"float32">[]> {
  const { tokenizer, text } = await openModel(path);
  await using engine = await startEngine({ device: "cpu" });
  const store = new PackStore(folder, false, () => {});
  const states: Tensor<"float32">[] = [];
  for (const prompt of prompts) {
    const pictures = [{ prompt, index: 0, seed: 0 }];
    const plan = planText(tokenizer, pictures, { profile: "diffusers", guided: false, joint: false });
    states.push(await encodeText({ engine, store }, text.part, text.config, plan));
  }
  await store.dispose();
  return states;
}

async function main(): Promise<number> {
  const prompts = promptsOf(Number(process.argv[2] ?? 20));
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-quantization-"));
  let missed = 0;
  try {
    const plain = await draw(EMBEDDED_MODEL, prompts);
    const states = await encode(EMBEDDED_MODEL, prompts, folder);
    const model = await openModel(EMBEDDED_MODEL);
    for (const bar of BARS) {
      const output = join(folder, bar.name);
      const parts = await quantizeModel(model, output, await bar.plan(model, bar.size));
      const sum = (key: "bytes" | "halfBytes") => parts.reduce((all, part) => all + part[key], 0);
      const share = sum("bytes") / sum("halfBytes");
      const pictures = await draw(output, prompts);
      const all = pictures.map((picture, i) => decibels(picture, plain[i]!));
      const seen = median(all);
      const rounded = await encode(output, prompts, folder);
      const cosine = Math.min(...rounded.map((one, i) => meanCosine(one, states[i]!)));
      const holds = share <= bar.size && seen >= bar.decibels && cosine >= bar.cosine;
      if (!holds) missed += 1;
      console.log(
        `${holds ? "ok  " : "MISS"} ${bar.name}: ${share.toFixed(4)} of the fp16 bytes (at most ${bar.size}), ` +
          `median ${seen.toFixed(2)} dB (at least ${bar.decibels}; lowest ${Math.min(...all).toFixed(2)}), ` +
          `text cosine ${cosine.toFixed(5)} in the worst prompt (at least ${bar.cosine})`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return missed === 0 ? 0 : 1;
}

process.exitCode = await main();
