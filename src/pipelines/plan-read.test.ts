import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { graphFlops } from "../graph/mod.ts";
import { encodePixels } from "../image/mod.ts";
import { movqEncoderGraph } from "../models/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { canvasParts } from "./canvas.node.ts";
import { stageCosts } from "./costs.node.ts";
import { type OpenFile, openInputs } from "./inputs.node.ts";
import { Kandinsky3 } from "./kandinsky3.node.ts";
import { openModel } from "./model.node.ts";
import type { MovqRunner } from "./movq-runner.node.ts";
import { planJob, sizedJob } from "./plan-job.node.ts";
import type { PictureRequest } from "./request.ts";
import { picturesRead, prepareScene } from "./scene.node.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));
const SIDE = 128;
const open: OpenFile = async () =>
  encodePixels({ width: SIDE, height: SIDE, data: new Uint8Array(3 * SIDE * SIDE).fill(90) }, "png");

const COMMON = { prompt: "x", seed: 0, steps: 2, image: "a.png" } as const;
const MASK = { from: "box", left: 32, top: 32, width: 64, height: 64 } as const;
const REQUESTS: readonly PictureRequest[] = [
  { prompt: "x", seed: 0, steps: 2, width: SIDE, height: SIDE },
  { ...COMMON, operation: "edit", width: SIDE, height: SIDE, strength: 0.5 },
  { ...COMMON, operation: "inpaint", mask: MASK, strength: 1 },
  { ...COMMON, operation: "inpaint", mask: MASK, strength: 0.5 },
  { ...COMMON, operation: "extend", right: 64 },
  { ...COMMON, operation: "upscale", by: 2, strength: 0.5 },
];

test("picturesRead counts what prepareScene makes latents of, for both kinds of U-Nets", async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const { cell } = model.info;
  for (const request of REQUESTS) {
    const job = await model.resolve(request, open);
    const inputs = await openInputs(job, open);
    for (const inpaints of [false, true]) {
      let seen = 0;
      const encode: MovqRunner["encode"] = async (images) => {
        seen += images.length;
        return images.map(({ shape: [, , height, width] }) => {
          const shape = [1, 4, height! / cell, width! / cell];
          return float32(shape, new Float32Array(4 * shape[2]! * shape[3]!));
        });
      };
      await prepareScene(job, inputs, { movq: { encode } as MovqRunner, cell, inpaints });
      const { count } = canvasParts(job.canvas, cell);
      expect(seen, JSON.stringify(request)).toBe(count * picturesRead(job, inpaints));
    }
  }
});

test("planJob plans the reading of pictures, and counts its work once for all pictures", async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const opened = await openModel(TINY);
  const planOf = async (request: PictureRequest) =>
    planJob(opened, sizedJob(opened, await model.resolve(request, open)), { bytes: 64e9 });
  const [plain, edit] = await Promise.all([planOf(REQUESTS[0]!), planOf(REQUESTS[1]!)]);
  expect(plain.stages[0]!.stage).toBe("encode");
  expect(edit.stages.map(({ stage }) => stage)).toEqual([
    "read",
    "encode",
    "prepare",
    "guided step",
    "decode",
  ]);
  const whole = movqEncoderGraph(opened.movq.config, { batch: 1, height: SIDE, width: SIDE });
  const reads = { width: SIDE, height: SIDE };
  const costs = stageCosts(opened, { ...reads, batch: 1, steps: 2, guided: true, reads });
  expect(costs[0]!.flops).toBe(graphFlops(whole));
  const [first] = edit.stages;
  expect(first).toMatchObject({ part: "movq", passes: 1, precision: "float32" });
  expect(first!.privateBytes).toBeGreaterThan(costs[0]!.activationBytes - 1);
  const more = await planOf({ ...REQUESTS[1]!, count: 3 } as PictureRequest);
  const each = edit.flops - costs[0]!.flops;
  expect(more.flops).toBeCloseTo(3 * each + costs[0]!.flops, -2);
  // A picture of several megapixels is read in parts: one after the other.
  const { count } = canvasParts({ width: 4096, height: 1024 }, opened.info.cell);
  expect(count).toBeGreaterThan(3);
});

test("planJob refuses an edit whose picture cannot be read in the memory allowed", async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const opened = await openModel(TINY);
  const sized = sizedJob(
    opened,
    await model.resolve({ ...REQUESTS[1]!, width: 1024, height: 1024 } as never, open),
  );
  const { stages } = await planJob(opened, sized, { bytes: 64e9 });
  const read = stages[0]!.expectedBytes;
  await expect(planJob(opened, sized, { bytes: 0.5 * read })).rejects.toMatchObject({
    code: "memory_exceeded",
  });
});
