import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import type { Picture } from "../image/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import { startEngine } from "../runtime/mod.ts";
import { float32, zeros } from "../tensor/mod.ts";
import { EMBEDDED_MODEL } from "./embedded.node.ts";
import type { GenerateEvent } from "./events.ts";
import { Kandinsky3 } from "./kandinsky3.node.ts";
import { openModel } from "./model.node.ts";
import { PackStore, packedBytes } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import type { Precision } from "./plan.ts";
import { type JobPlan, planJob, sizedJob } from "./plan-job.node.ts";
import { quantizeModel, uniformPlan, WEIGHT_PARTS } from "./quantize.node.ts";
import { UNetRunner } from "./unet-runner.node.ts";

const REQUEST = { prompt: "two red apples", seed: 7, steps: 1, count: 2 } as const;
const PLENTY = 64e9;

async function nanoPlan(bytes: number, request = {}): Promise<JobPlan> {
  const model = await openModel(EMBEDDED_MODEL);
  await using kandinsky = await Kandinsky3.load({ threads: 1 });
  const job = await kandinsky.resolve({ ...REQUEST, ...request });
  return planJob(model, sizedJob(model, job), { bytes });
}

test("planJob plans the stages of a job in their order", async () => {
  const { stages, keepsLoaded, flops } = await nanoPlan(PLENTY);
  expect(stages.map(({ stage }) => stage)).toEqual(["encode", "prepare", "guided step", "decode"]);
  expect(stages.map(({ dtype }) => dtype)).toEqual(["float16", "float32", "float32", "float32"]);
  expect(stages.map(({ passes }) => passes)).toEqual([1, 1, 1, 1]);
  expect(keepsLoaded).toBe(true);
  expect(flops).toBeGreaterThan(1e9);
  const unguided = await nanoPlan(PLENTY, { guidance: 0 });
  expect(unguided.stages.map(({ stage }) => stage)).toEqual(["encode", "prepare", "step", "decode"]);
});

test("sizedJob counts every window of a panorama as a picture of its size", async () => {
  const model = await openModel(EMBEDDED_MODEL);
  await using kandinsky = await Kandinsky3.load({ threads: 1 });
  const wide = { ...REQUEST, operation: "panorama", width: 1024, height: 64, overlap: 0.5 } as const;
  const { width, height, pictures } = sizedJob(model, await kandinsky.resolve(wide));
  expect([width, height, pictures.length]).toEqual([64, 64, 2 * 31]);
});

test("planJob refuses what fits nowhere, and what it names instead does fit", async () => {
  const bytes = 1e9;
  const error = await nanoPlan(bytes, { width: 4096, height: 2048 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(KandinskyError);
  const { code, parts } = error as KandinskyError;
  expect([code, parts.seen]).toEqual(["memory_exceeded", "1.0 GB allowed"]);
  const [, width, height, dtype] = /^(\d+)x(\d+) fits with the U-Net in (\w+)$/.exec(parts.hint!) ?? [];
  expect([dtype, Number(width) > Number(height)]).toEqual(["float32", true]);
  const { expectedBytes } = await nanoPlan(bytes, { width: Number(width), height: Number(height) });
  expect(expectedBytes).toBeLessThanOrEqual(bytes);
  const none = await nanoPlan(1e8).catch((reason: unknown) => reason);
  expect((none as KandinskyError).parts.hint).toMatch(/^this model needs at least 0\.\d GB: /);
});

/** Draws nano's pictures within a budget. */
async function drawn(memory: number | undefined): Promise<{ pictures: Picture[]; events: GenerateEvent[] }> {
  await using model = await Kandinsky3.load({ threads: 1, ...(memory === undefined ? {} : { memory }) });
  const events: GenerateEvent[] = [];
  for await (const event of model.generate({ ...REQUEST, width: 256, height: 256 })) events.push(event);
  return { pictures: events.flatMap((event) => (event.type === "picture" ? [event.picture] : [])), events };
}

test("Kandinsky3.generate follows its plan: pictures are equal bit for bit where each stage makes room", {
  timeout: 120_000,
}, async () => {
  const plenty = await drawn(PLENTY);
  const planOf = ({ events }: typeof plenty) =>
    events.flatMap((event) => (event.type === "plan" ? [event.plan] : []))[0]!;
  const bodyOf = (plan: JobPlan) => plan.stages.find(({ stage }) => stage === "guided step")!;
  expect([bodyOf(planOf(plenty)).precision, planOf(plenty).keepsLoaded]).toEqual(["float32", true]);
  const tight = await drawn(
    planOf(plenty).stages.reduce((most, s) => Math.max(most, s.privateBytes), 0) + 3e8,
  );
  expect([bodyOf(planOf(tight)).precision, planOf(tight).keepsLoaded]).toEqual(["float32", false]);
  expect(plenty.pictures.length).toBe(2);
  for (const [i, { data }] of tight.pictures.entries()) expect(data).toEqual(plenty.pictures[i]!.data);
  if (process.platform !== "linux") return;
  const memory = tight.events.find((event) => event.type === "memory")!;
  expect(memory.privateBytes).toBeGreaterThan(50e6);
  expect(memory.residentBytes).toBeGreaterThan(memory.privateBytes);
});

test("UNetRunner gives equal results with weights as stored, and without its prologue kept", async () => {
  const root = await mkdtemp(join(tmpdir(), "kandinsky-plan-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const { unet } = await openModel(EMBEDDED_MODEL);
  const store = new PackStore(root, true, () => {});
  const length = 5;
  const results = async (precision: Precision, keepsPrologue: boolean) => {
    const runner = new UNetRunner({ engine, store }, unet.part, unet.config, await passesFor(engine));
    runner.use(precision, keepsPrologue);
    const context = await runner.project(normal(keyOf(1), [2, length, unet.config.encoderHidDim]));
    const maskBias = zeros("float32", [2, 1, 1, length]);
    const poolWeights = float32([2, 1, length], new Float32Array(2 * length).fill(1 / length));
    const sizes = { times: [900, 400], height: 8, width: 16 };
    const prepare = () => runner.prepare({ context, maskBias, poolWeights, ...sizes });
    // Windows of one picture: the first batch is still in use when the second is prepared.
    const batches = [await prepare(), await prepare()];
    const seen: Float32Array[] = [];
    for (const prepared of batches) {
      seen.push((await prepared.evaluate(normal(keyOf(2), [2, unet.config.inChannels, 8, 16]), 1)).data);
      await prepared.release();
    }
    await runner.dispose();
    return seen;
  };
  const [wide, again] = await results("float32", true);
  expect(again).toEqual(wide);
  for (const seen of await results("stored", false)) expect(seen).toEqual(wide);
  expect(await packedBytes(root)).toBeGreaterThan(100e6);
});

test("planJob: what a file has rounded is planned for as it is, in its fewer bytes", async () => {
  const root = await mkdtemp(join(tmpdir(), "kandinsky-plan-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, "int8");
  const nano = await openModel(EMBEDDED_MODEL);
  const plans = new Map(WEIGHT_PARTS.map((name) => [name, uniformPlan(nano, name, "int8")]));
  await quantizeModel(nano, folder, plans);
  const model = await openModel(folder);
  await using kandinsky = await Kandinsky3.load({ model: folder, threads: 1 });
  const job = sizedJob(model, await kandinsky.resolve(REQUEST));
  const [encode, , step] = (await planJob(model, job, { bytes: PLENTY })).stages;
  expect([encode!.dtype, step!.dtype]).toEqual(["int8", "int8"]);
  const plain = (await nanoPlan(PLENTY)).stages[2]!;
  expect(plain.dtype).toBe("float32");
  // 8 bits and a scale for 32 weights, beside 32 bits; biases and what is too small stay wide.
  expect(step!.weightBytes / plain.weightBytes).toBeGreaterThan(8.5 / 32);
  expect(step!.weightBytes / plain.weightBytes).toBeLessThan(0.3);
});
