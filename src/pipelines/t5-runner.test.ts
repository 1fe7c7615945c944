import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startEngine } from "../runtime/mod.ts";
import { openModel } from "./model.node.ts";
import { PackStore } from "./packing.node.ts";
import { encodeText } from "./t5-runner.node.ts";
import { planText } from "./text.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

test("encodeText gives the same states block by block as at once", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const { text, tokenizer } = await openModel(TINY);
  const workshop = { engine, store: new PackStore(TINY, false, () => {}) };
  const pictures = [
    { prompt: "красный кот на крыше, ночь", negative: "blurry" },
    { prompt: "dog", negative: undefined },
  ];
  const plan = planText(tokenizer, pictures, { profile: "diffusers", guided: true, joint: false });
  expect(text.config.numLayers).toBeGreaterThan(1);
  const whole = await encodeText(workshop, text.part, text.config, plan);
  const parts = await encodeText(workshop, text.part, text.config, plan, { partBytes: 1 });
  expect(parts.shape).toEqual([3, plan.paddedLength, text.config.dModel]);
  // The very same operations, cut between two of them.
  expect(parts.data).toEqual(whole.data);
  expect(whole.data.some((value) => value !== 0)).toBe(true);
});
