import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { startEngine } from "../runtime/mod.ts";
import { type GenerateRequest, Kandinsky3, type LoadOptions, type RunState } from "./mod.ts";

vi.mock("../runtime/mod.js", async (original) => {
  const runtime = await original<typeof import("../runtime/mod.ts")>();
  return { ...runtime, startEngine: vi.fn(runtime.startEngine) };
});

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

/** So large that pictures are drawn one after the other. */
const REQUEST: GenerateRequest = { prompt: "кот", seed: 0, count: 2, width: 320, height: 256, steps: 1 };

/** The pictures, and how many engines were started for them. */
async function draw(options: LoadOptions) {
  const before = vi.mocked(startEngine).mock.calls.length;
  await using model = await Kandinsky3.load({ threads: 1, model: TINY, ...options });
  const pictures: Uint8Array[] = [];
  for await (const event of model.generate(REQUEST)) {
    if (event.type === "picture") pictures.push(event.picture.data);
  }
  return { pictures, engines: vi.mocked(startEngine).mock.calls.length - before };
}

test("Kandinsky3.generate starts a new engine after so many loads, and draws the same", async () => {
  const whole = await draw({});
  // What is packed for this process only must serve the next engine too.
  const renewed = await draw({ loadsPerEngine: 1, cache: false });
  expect([whole.engines, renewed.engines]).toEqual([1, 2]);
  expect(renewed.pictures).toEqual(whole.pictures);
});

test("Kandinsky3.generate refuses to go on with a model of other weights", async () => {
  await using model = await Kandinsky3.load({ threads: 1 });
  const job = await model.resolve({ prompt: "x", seed: 0 });
  const resume: RunState = { fingerprint: "0123456789ab", job, done: [] };
  const error = await model
    .generate(job, { resume })
    .next()
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: "model_config",
    parts: { seen: model.info.fingerprint, wanted: "0123456789ab" },
  });
});
