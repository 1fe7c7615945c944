import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { graphFlops } from "../graph/mod.ts";
import { movqDecoderGraph, t5Graph, textProjectionGraph, unetGraph } from "../models/mod.ts";
import { stageCosts } from "./costs.node.ts";
import { EMBEDDED_MODEL } from "./embedded.node.ts";
import { estimateJob, planIfLarge } from "./estimate.node.ts";
import { inspectModel } from "./inspect.node.ts";
import { Kandinsky3 } from "./kandinsky3.node.ts";
import { openModel } from "./model.node.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));
const SIZE = { width: 128, height: 192, batch: 1, steps: 4 };

const noEngine = () => Promise.reject(new Error("no engine is needed for this"));

test("stageCosts splits the work of the whole graphs and loses none", async () => {
  const model = await openModel(TINY);
  const stages = new Map(stageCosts(model, SIZE).map((stage) => [stage.stage, stage]));
  const { text, unet, movq, info } = model;
  const cells = { height: SIZE.height / info.cell, width: SIZE.width / info.cell };
  const range = { from: 0, to: text.config.numLayers };
  const whole = unetGraph(unet.config, { batch: 2, ...cells, contextLength: 128, steps: SIZE.steps });
  const projection = textProjectionGraph(unet.config, 2, 128);
  expect(stages.get("encode")!.flops).toBe(graphFlops(t5Graph(text.config, 1, 128, range)));
  expect(stages.get("prepare")!.flops + stages.get("guided step")!.flops).toBe(
    graphFlops(whole) + graphFlops(projection),
  );
  expect(stages.get("guided step")!.flops).toBe(2 * stages.get("step")!.flops);
  expect(stages.get("decode")!.flops).toBe(graphFlops(movqDecoderGraph(movq.config, { batch: 1, ...cells })));
});

test("inspectModel counts the parameters that the files hold", async () => {
  const { kind, parts, sizes } = await inspectModel(EMBEDDED_MODEL, [{ width: 64, height: 96 }]);
  expect(kind).toBe("model");
  // As its README says.
  const counts = parts.map(({ name, parameters }) => [name, (parameters / 1e6).toFixed(1)]);
  expect(counts).toEqual([
    ["text_encoder", "5.1"],
    ["unet", "25.8"],
    ["movq", "2.9"],
  ]);
  for (const { storedBytes, parameters, computedBytes } of parts) {
    expect([storedBytes, computedBytes]).toEqual([2 * parameters, 4 * parameters]);
  }
  expect(sizes.map(({ width, height }) => [width, height])).toEqual([[64, 96]]);
});

test("estimateJob bounds small work without an engine", async () => {
  const model = await openModel(EMBEDDED_MODEL);
  const job = await (await Kandinsky3.load()).resolve({ prompt: "x", seed: 0 });
  const { seconds } = await estimateJob(model, job, await planIfLarge(model, job, {}), noEngine);
  const stages = stageCosts(model, { width: 64, height: 64, batch: 1, steps: 25 });
  const work = stages.reduce((sum, { stage, flops }) => {
    return sum + flops * (stage === "guided step" ? 25 : stage === "step" ? 0 : 1);
  }, 0);
  expect(seconds).toBeGreaterThan(work / 1e10);
  expect(seconds).toBeLessThan(100);
});

test.each([
  ["a size", { width: 64_000, height: 32_000 }, /^\d+x\d+ fits with the U-Net in float(32|16)$/],
  [
    "a joint batch",
    { count: 10_000, batchText: "joint" as const, width: 512, height: 512 },
    /pictures at once fit$/,
  ],
])("planIfLarge refuses %s beyond memory and says what fits", async (_, request, hint) => {
  const model = await openModel(EMBEDDED_MODEL);
  const job = await (await Kandinsky3.load()).resolve({ prompt: "x", seed: 0, ...request });
  const error = await planIfLarge(model, job, {}).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(KandinskyError);
  const { code, parts } = error as KandinskyError;
  expect(code).toBe("memory_exceeded");
  expect(parts.hint).toMatch(hint);
});
