import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tensorFromPicture } from "../image/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { decodeCanvas, encodeImage } from "./canvas.node.ts";
import { EMBEDDED_MODEL } from "./embedded.node.ts";
import { openModel } from "./model.node.ts";
import { MovqRunner } from "./movq-runner.node.ts";
import { PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";

let engine: Engine;
let movq: MovqRunner;
let folder: string;
const CELL = 4;

beforeAll(async () => {
  engine = await startEngine({ device: "cpu" });
  const { config, part } = (await openModel(EMBEDDED_MODEL)).movq;
  folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-canvas-")));
  const store = new PackStore(folder, true, () => {});
  movq = new MovqRunner({ engine, store }, part, config, await passesFor(engine));
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Waves of colour whose right end meets the left, 320x96. */
const IMAGE = tensorFromPicture({
  width: 320,
  height: 96,
  data: Uint8Array.from({ length: 3 * 320 * 96 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 320, Math.floor(i / 960)];
    return Math.round(128 + 60 * Math.sin((x * Math.PI) / 32 + (i % 3)) + 40 * Math.cos(y / 9));
  }),
});

/** Means of the absolute differences of two tensors. */
function meanDifference(a: Tensor<"float32">, b: Tensor<"float32">): number {
  expect(a.shape).toEqual(b.shape);
  return a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]!), 0) / a.data.length;
}

/** Steps between neighbouring columns, the last one around the end. */
function steps({ shape, data }: Tensor<"float32">): number[] {
  const width = shape[3]!;
  const sums = new Array<number>(width).fill(0);
  for (const [i, value] of data.entries()) {
    const x = i % width;
    sums[x]! += Math.abs(value - data[i - x + ((x + 1) % width)]!);
  }
  return sums;
}

test("encodeImage and decodeCanvas in parts are near to the whole, without seams", async () => {
  const whole = await encodeImage(movq, IMAGE, CELL);
  // Parts of at most 128x96 pixels.
  const parts = await encodeImage(movq, IMAGE, CELL, 128 * 96);
  const latents = meanDifference(parts, whole);
  expect(latents, `latents differ by ${latents}`).toBeLessThan(0.1);
  const picture = await decodeCanvas(movq, whole, CELL, false);
  const pieced = await decodeCanvas(movq, whole, CELL, false, 128 * 96);
  const pixels = meanDifference(pieced, picture);
  expect(pixels, `pixels differ by ${pixels} of 2`).toBeLessThan(0.04);
  const [own, joined] = [steps(picture), steps(pieced)];
  const worst = Math.max(...joined.slice(0, -1)) / Math.max(...own.slice(0, -1));
  expect(worst, `largest step ${worst} times the whole's`).toBeLessThan(1.2);
});

test("decodeCanvas with wrap meets itself at the ends", async () => {
  const latents = await encodeImage(movq, IMAGE, CELL);
  for (const partPixels of [2 ** 20, 128 * 96]) {
    const picture = await decodeCanvas(movq, latents, CELL, true, partPixels);
    expect(picture.shape).toEqual(IMAGE.shape);
    const all = steps(picture);
    const mean = all.reduce((sum, step) => sum + step, 0) / all.length;
    const seam = all.at(-1)! / mean;
    expect(seam, `seam ${seam} times the mean step`).toBeLessThan(1.5);
  }
});
