import { createHash } from "node:crypto";
import { access, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture, encodePixels, saveFile, tensorFromPicture } from "../image/mod.ts";
import { Kandinsky3 } from "../pipelines/mod.ts";
import { drawsOf, type Key } from "../random/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";
import type { DiffusionSamples } from "../train/mod.ts";
import type { RunOf, Size } from "./config.ts";
import type { Frozen } from "./frozen.node.ts";
import type { Workplace } from "./learner.ts";

/** What a run keeps the model from forgetting: pictures that the untrained model drew, by size. */
export interface Prior {
  /** So many of them, drawn by the key. */
  rows(key: Key, size: Size, count: number): Promise<DiffusionSamples>;
}

/**
 * Draws the pictures of prior preservation (Ruiz et al. 2022) with the model as it is: picture k of a size has prompt k
 * and seed k, so those that an earlier run has drawn are taken. Each is a file as soon as it is drawn.
 */
export async function openPrior(
  settings: NonNullable<RunOf<"lora">["prior"]>,
  sizes: readonly Size[],
  { model, cache, threads, tell, signal }: Workplace,
  frozen: Frozen,
): Promise<Prior> {
  const { prompts, samples, steps, guidance, seed } = settings;
  const asked = Array.from({ length: samples }, (_, k) => ({
    prompt: prompts[k % prompts.length]!,
    seed: seed + k,
  }));
  const drawing = { fingerprint: model.info.fingerprint, prompts, steps, guidance, seed };
  const name = createHash("sha256").update(JSON.stringify(drawing)).digest("hex").slice(0, 16);
  const folder = join(cache, `prior-${name}`);
  await mkdir(folder, { recursive: true });
  const fileOf = ({ width, height }: Size, k: number) =>
    join(folder, `${width}x${height}-${String(k).padStart(6, "0")}.png`);

  const missing: { readonly size: Size; readonly k: number }[] = [];
  for (const size of sizes) {
    for (const k of asked.keys()) if (!(await exists(fileOf(size, k)))) missing.push({ size, k });
  }
  if (missing.length > 0) {
    await using drawer = await Kandinsky3.load({ model: model.folder.root, threads, cache: false });
    let done = 0;
    for (const size of sizes) {
      const mine = missing.filter((one) => one.size === size).map(({ k }) => k);
      if (mine.length === 0) continue;
      const request = {
        prompt: mine.map((k) => asked[k]!.prompt),
        seed: mine.map((k) => asked[k]!.seed),
        ...{ steps, guidance, ...size },
      };
      for await (const event of drawer.generate(request, signal === undefined ? {} : { signal })) {
        if (event.type !== "picture") continue;
        const file = fileOf(size, mine[event.job.index]!);
        await saveFile(file, await encodePixels(event.picture, "png"), { overwrite: true });
        tell({ type: "prepare", what: `${++done} / ${missing.length}` });
      }
    }
  }

  const latents = new Map<string, Tensor<"float32">>();
  for (const size of sizes) {
    const pictures: Tensor<"float32">[] = [];
    for (const k of asked.keys()) {
      const file = fileOf(size, k);
      pictures.push(tensorFromPicture(await decodePicture(await readFile(file), file)));
    }
    latents.set(keyOf(size), await frozen.latentsOf(pictures));
  }
  return {
    async rows(key, size, count) {
      const draws = drawsOf(key);
      const chosen = Array.from({ length: count }, () => draws.whole(0, samples - 1));
      const all = latents.get(keyOf(size))!;
      return {
        latents: concatRows(chosen.map((k) => row(all, k))),
        ...(await frozen.statesOf(chosen.map((k) => asked[k]!.prompt))),
      };
    },
  };
}

function keyOf({ width, height }: Size): string {
  return `${width}x${height}`;
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
