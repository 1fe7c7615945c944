import { afterAll, beforeAll, expect, test } from "vitest";
import { type GenerateRequest, Kandinsky3 } from "./mod.ts";

let model: Kandinsky3;
beforeAll(async () => {
  model = await Kandinsky3.load({ threads: 1 });
});
afterAll(() => model.dispose());

/** The bytes of every picture of a request. */
async function draw(request: GenerateRequest): Promise<Uint8Array[]> {
  const pictures: Uint8Array[] = [];
  for await (const event of model.generate(request)) {
    if (event.type === "picture") pictures[event.job.index] = event.picture.data;
  }
  return pictures;
}

function worst(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

const SMALL = { width: 96, height: 64, steps: 4 } as const;

/** Two prompts whose texts have different lengths, one with a longer negative text than the other's prompt. */
const PROMPTS = ["two pandas on a pink background, noto style", "кот"];

test.each([
  [
    "guided",
    { guidance: 3, negative: ["blue, many more words than the prompt has, and still more words", "red"] },
  ],
  ["guidance 0", { guidance: 0 }],
  ["one step", { steps: 1 }],
  ["euler", { sampler: "euler" }],
] as const)("Kandinsky3.generate: picture k of a batch equals the single picture, %s", async (_, given) => {
  const options = { ...SMALL, ...given } as GenerateRequest;
  const together = await draw({ ...options, prompt: PROMPTS, seed: 0 });
  for (const [k, prompt] of PROMPTS.entries()) {
    const negative = Array.isArray(options.negative) ? { negative: options.negative[k]! } : {};
    const [alone] = await draw({ ...options, ...negative, prompt, seed: k });
    expect(worst(together[k]!, alone!), `picture ${k}`).toBeLessThanOrEqual(2);
  }
  expect(worst(together[0]!, together[1]!)).toBeGreaterThan(20);
});

test("Kandinsky3.generate gives the same bytes again, and others for another seed", async () => {
  const request = { ...SMALL, prompt: PROMPTS[1]!, seed: 0 };
  const [first] = await draw(request);
  const [again] = await draw(request);
  const [other] = await draw({ ...request, seed: 1 });
  expect(again).toEqual(first);
  expect(worst(other!, first!)).toBeGreaterThan(20);
});

test("Kandinsky3.generate gives pictures of one prompt the seeds from the first on", async () => {
  const together = await draw({ ...SMALL, prompt: PROMPTS[0]!, seed: 7, count: 2 });
  const [second] = await draw({ ...SMALL, prompt: PROMPTS[0]!, seed: 8 });
  expect(worst(together[1]!, second!)).toBeLessThanOrEqual(2);
});

test("Kandinsky3.generate draws the same with guidance off and guidance 0, and tells that it is off", async () => {
  const notices: string[] = [];
  const pictures: Uint8Array[] = [];
  for await (const event of model.generate({ ...SMALL, prompt: PROMPTS[1]!, seed: 0, guidance: 1 })) {
    if (event.type === "notice") notices.push(event.notice);
    if (event.type === "picture") pictures.push(event.picture.data);
  }
  expect(notices).toEqual(["guidance-off"]);
  expect(pictures).toEqual(await draw({ ...SMALL, prompt: PROMPTS[1]!, seed: 0, guidance: 0 }));
});

test("Kandinsky3.generate ends at an abort with `cancelled`, and draws again afterwards", async () => {
  const stop = new AbortController();
  const run = async () => {
    for await (const event of model.generate({ ...SMALL, prompt: "a", seed: 0 }, { signal: stop.signal })) {
      if (event.type === "step" && event.index === 1) stop.abort();
    }
  };
  await expect(run()).rejects.toMatchObject({ code: "cancelled" });
  expect((await draw({ ...SMALL, prompt: "a", seed: 0 })).length).toBe(1);
});
