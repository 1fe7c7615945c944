import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { ATTENTION_LAYERS } from "../adapters/mod.ts";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { parseUNetConfig, unetParameters } from "../models/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import { STYLES } from "../scenes/mod.ts";
import { parseRun, type RunConfig } from "./config.ts";
import { initialWeights } from "./initial.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");

const TINY = join(ROOT, "golden/tiny-k3");

/** A whole model with a U-Net of two levels: the parts of golden's tiny-k3 with fresh weights of few parameters. */
export async function writeTinyModel(folder: string): Promise<void> {
  for (const name of ["text_encoder", "tokenizer", "movq", "scheduler", "model_index.json"]) {
    await cp(join(TINY, name), join(folder, name), { recursive: true });
  }
  const given = JSON.parse(await readFile(join(TINY, "unet/config.json"), "utf8"));
  const config = { ...given, block_out_channels: [8, 8], layers_per_block: 2 };
  await mkdir(join(folder, "unet"));
  await writeFile(join(folder, "unet/config.json"), JSON.stringify(config));
  const weights = initialWeights("unet", unetParameters(parseUNetConfig(config, "unet")), keyOf(1));
  // Fresh ones are 0, and so is what they predict: no two U-Nets would differ.
  weights.set("conv_out.weight", normal(keyOf(2), weights.get("conv_out.weight")!.shape));
  const tensors = [...weights].map(([name, tensor]) => ({ name, tensor }));
  await writeSafetensors(join(folder, "unet/diffusion_pytorch_model.safetensors"), tensors, {});
}

/** Six flat pictures with captions. */
export async function writePictures(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < 6; i++) {
    const background = { r: 40 * i, g: 255 - 40 * i, b: 128 };
    const size = { width: 128, height: 64, channels: 3 as const };
    await sharp({ create: { ...size, background } })
      .png()
      .toFile(join(folder, `${i}.png`));
    await writeFile(join(folder, `${i}.txt`), `picture ${i}`);
  }
}

/** Two stages of three updates each, of other sizes and batches. */
export function tinyRun(root: string, changes: Readonly<Record<string, unknown>> = {}): RunConfig {
  const input = {
    kind: "diffusion",
    model: join(root, "model"),
    start: "fresh",
    seed: 5,
    data: { kind: "files", paths: [join(root, "pictures")] },
    tokens: 16,
    stages: [
      {
        name: "wide",
        sizes: [{ width: 128, height: 64 }],
        batch: 2,
        samples: 6,
        learningRate: 1e-3,
        warmUp: 4,
      },
      {
        name: "square",
        sizes: [{ width: 64, height: 64 }],
        batch: 4,
        parts: 2,
        samples: 12,
        learningRate: 1e-3,
      },
    ],
    halfLives: [20, 200],
    checkpoints: { every: 4, keep: 2 },
    ...changes,
  };
  return parseRun(input, "test");
}

/** A LoRA run of three updates on attentions and convolutions, with a prior and in two parts. */
export function tinyLoraRun(root: string, changes: Readonly<Record<string, unknown>> = {}): RunConfig {
  const size = { width: 128, height: 64 };
  const input = {
    kind: "lora",
    model: join(root, "model"),
    seed: 5,
    rank: 2,
    alpha: 4,
    targets: [...ATTENTION_LAYERS, "projection"],
    data: { kind: "files", paths: [join(root, "pictures")] },
    tokens: 16,
    stages: [{ name: "only", sizes: [size], batch: 2, parts: 2, samples: 6, learningRate: 0.003 }],
    prior: { prompts: ["a cat", "собака"], samples: 3, steps: 1, guidance: 0 },
    halfLives: [1],
    checkpoints: { every: 100 },
    ...changes,
  };
  return parseRun(input, "test");
}

/** A text encoder run of two stages: three updates without blocks, two with all of them in two parts. */
export function tinyTextRun(root: string): RunConfig {
  const stage = { learningRate: 1e-3, batch: 4 };
  const input = {
    kind: "text-encoder",
    model: join(root, "model"),
    seed: 5,
    subjects: ["1F34E", "1F34C", "1F436", "1F431", "1F697", "1F3E0"],
    tokens: 16,
    stages: [
      { ...stage, name: "words", blocks: 0, samples: 12 },
      { ...stage, name: "sentences", blocks: 2, parts: 2, samples: 8 },
    ],
    halfLives: [20],
    checkpoints: { every: 100 },
  };
  return parseRun(input, "test");
}

/** What npm would install: a set of coloured squares in the place of noto's icons. */
export async function writeIcons(folder: string, codes: readonly string[]): Promise<void> {
  const { package: from, version } = STYLES.noto;
  const set = join(folder, "icons", "node_modules", from);
  await mkdir(set, { recursive: true });
  const square = (i: number) => ({ body: `<rect width="16" height="16" fill="hsl(${i * 50} 80% 50%)"/>` });
  const files = {
    package: { version },
    chars: Object.fromEntries(codes.map((code) => [code.toLowerCase(), code])),
    icons: { icons: Object.fromEntries(codes.map((code, i) => [code, square(i)])) },
  };
  for (const [name, json] of Object.entries(files))
    await writeFile(join(set, `${name}.json`), JSON.stringify(json));
}

/** A classifier run of four updates, on subjects of which one is kept from training. */
export function tinyClassifierRun(root: string, subjects: readonly string[]): RunConfig {
  const input = {
    kind: "classifier",
    seed: 5,
    data: { kind: "scenes", folder: join(root, "icons"), subjects, styles: { noto: 1 } },
    network: { side: 16, widths: [8, 16], features: 8 },
    stages: [
      {
        name: "renders",
        sizes: [{ width: 16, height: 16 }],
        batch: 8,
        parts: 2,
        samples: 32,
        learningRate: 1e-3,
      },
    ],
    halfLives: [20],
    checkpoints: { every: 100 },
  };
  return parseRun(input, "test");
}

/** An autoencoder run of four updates, one half of a batch after the other. */
export function tinyAutoencoderRun(root: string): RunConfig {
  const size = { width: 128, height: 64 };
  const input = {
    kind: "autoencoder",
    model: join(root, "model"),
    seed: 5,
    data: { kind: "files", paths: [join(root, "pictures")] },
    stages: [{ name: "crops", sizes: [size], batch: 4, parts: 2, samples: 16, learningRate: 1e-3 }],
    halfLives: [20],
    checkpoints: { every: 100 },
  };
  return parseRun(input, "test");
}

/** Two stages of six updates, with a checkpoint after each. */
export function longerRun(root: string): RunConfig {
  const stage = { learningRate: 1e-3 };
  const [wide, square] = [
    { width: 128, height: 64 },
    { width: 64, height: 64 },
  ];
  return tinyRun(root, {
    stages: [
      { ...stage, name: "wide", sizes: [wide], batch: 1, samples: 6, warmUp: 4 },
      { ...stage, name: "square", sizes: [square], batch: 2, parts: 2, samples: 12 },
    ],
    checkpoints: { every: 1, keep: 2 },
  });
}
