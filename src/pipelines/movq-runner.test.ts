import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { movqDecoderGraph } from "../models/mod.ts";
import { runPasses, stripeMaps } from "../passes/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { EMBEDDED_MODEL } from "./embedded.node.ts";
import { type OpenedModel, openModel } from "./model.node.ts";
import { PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import { foldPart, loadFolded } from "./program.node.ts";

/** Class movq of golden/manifest.json. */
const ABSOLUTE = 1e-4;
const RELATIVE = 5e-5;

let engine: Engine;
let model: OpenedModel;
let folder: string;
let store: PackStore;

beforeAll(async () => {
  engine = await startEngine({ device: "cpu" });
  model = await openModel(EMBEDDED_MODEL);
  folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-movq-")));
  store = new PackStore(folder, true, () => {});
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A picture of 256x384 pixels, decoded with maps of more than `maxBytes` in stripes. */
async function decode(latents: Tensor<"float32">, maxBytes: number): Promise<Tensor<"float32">> {
  const [batch, , height, width] = latents.shape as [number, number, number, number];
  const { config, part } = model.movq;
  const graph = runPasses(movqDecoderGraph(config, { batch, height, width }), [
    stripeMaps(maxBytes, height),
    ...(await passesFor(engine)),
  ]);
  const program = await loadFolded({ engine, store }, part, "MoVQ decoder", foldPart(graph, part));
  const { image } = await program.run({ latents }, { image: "return" });
  await program.release();
  return image as Tensor<"float32">;
}

test("stripeMaps decodes 256x384 as the whole frame does, within class movq", async () => {
  const latents = normal(keyOf(0), [1, model.movq.config.vqEmbedDim, 64, 96]);
  const whole = await decode(latents, Number.POSITIVE_INFINITY);
  expect(whole.shape).toEqual([1, 3, 256, 384]);
  const largest = whole.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const maxBytes of [1e6, 4e6]) {
    const striped = await decode(latents, maxBytes);
    const worst = striped.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - whole.data[i]!)),
      0,
    );
    // The figure is what this test is for; a passing one would hide it.
    console.info(
      `stripes of ${maxBytes} bytes: worst difference ${worst.toExponential(1)} of ${largest.toFixed(2)}`,
    );
    expect(worst, `stripes of ${maxBytes} bytes`).toBeLessThanOrEqual(ABSOLUTE + RELATIVE * largest);
    expect(worst, "stripes that did nothing would be equal to the bit").toBeGreaterThan(0);
  }
});
