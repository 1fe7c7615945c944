import { afterAll, beforeAll, expect, test } from "vitest";
import { encodePixels, type Picture } from "../image/mod.ts";
import {
  type EditRequest,
  jobSchema,
  Kandinsky3,
  type OpenFile,
  openLocalFile,
  type PictureRequest,
} from "./mod.ts";

let model: Kandinsky3;
/** A picture that the model draws itself. */
let photo: Picture;
beforeAll(async () => {
  model = await Kandinsky3.load({ threads: 1 });
  const request = { prompt: "a red cat on a blue background", width: 96, height: 64, seed: 1, steps: 8 };
  for await (const event of model.generate(request)) if (event.type === "picture") photo = event.picture;
});
afterAll(() => model.dispose());

const open: OpenFile = async (name) =>
  name === "photo.png" ? encodePixels(photo, "png") : openLocalFile(name);

async function draw(request: PictureRequest): Promise<Picture[]> {
  const pictures: Picture[] = [];
  for await (const event of model.generate(request, { open })) {
    if (event.type === "picture") pictures[event.job.index] = event.picture;
  }
  return pictures;
}

const worst = (a: Picture, b: Picture) => {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
};
const mean = (a: Picture, b: Picture) =>
  a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]!), 0) / a.data.length;

const EDIT = {
  operation: "edit",
  image: "photo.png",
  width: 96,
  height: 64,
  steps: 6,
  strength: 0.7,
} as const;
const { width: _, height: __, ...UNSIZED } = EDIT;
const PROMPTS = ["two pandas on a pink background, noto style", "кот"];

test.each([
  ["guided", {}],
  ["guidance 0", { guidance: 0 }],
  ["one step", { steps: 1, strength: 1 }],
  ["another sampler", { sampler: "dpm++2m" }],
  ["joint noise of PyTorch", { rng: "torch" }],
] as const)(
  "Kandinsky3.generate edits: picture k of a batch equals the single picture, %s",
  async (_, given) => {
    const options = { ...EDIT, ...given } as Omit<EditRequest, "prompt">;
    const together = await draw({ ...options, prompt: PROMPTS, seed: 0 });
    for (const [k, prompt] of PROMPTS.entries()) {
      const [alone] = await draw({ ...options, prompt, seed: k });
      expect(worst(together[k]!, alone!), `picture ${k}`).toBeLessThanOrEqual(2);
    }
    expect([together[0]!.width, together[0]!.height]).toEqual([96, 64]);
    // One step of this sampler is nearly clean, where prompts say little.
    expect(worst(together[0]!, together[1]!)).toBeGreaterThan(5);
  },
);

test("Kandinsky3.generate edits more where the strength is larger", async () => {
  const differences: number[] = [];
  for (const strength of [0.1, 0.4, 0.8]) {
    const [edited] = await draw({ ...EDIT, prompt: PROMPTS[0]!, seed: 0, steps: 10, strength });
    differences.push(mean(edited!, photo));
  }
  expect(differences, `mean differences ${differences}`).toEqual([...differences].sort((a, b) => a - b));
  expect(differences[0], `mean differences ${differences}`).toBeLessThan(differences[2]! / 2);
});

test("Kandinsky3.generate draws at whole units and gives the size asked for, or the picture's shape", async () => {
  const sized = await model.resolve({ ...EDIT, prompt: "x", width: 100, height: 70 }, open);
  expect([sized.width, sized.height, sized.canvas]).toEqual([100, 70, { width: 96, height: 64 }]);
  const wide = await model.resolve({ ...UNSIZED, prompt: "x", width: 48 }, open);
  expect([wide.width, wide.height]).toEqual([48, 32]);
  // 96x64 pixels are more than the model's 64x64.
  const own = await model.resolve({ ...UNSIZED, prompt: "x" }, open);
  expect([own.width, own.height, own.canvas]).toEqual([78, 52, { width: 64, height: 64 }]);
  const [picture] = await draw({ ...EDIT, prompt: "x", width: 50, height: 41, seed: 0 });
  expect([picture!.width, picture!.height]).toEqual([50, 41]);
});

test("Kandinsky3.resolve: a strength of Kandinsky 2.2 is mapped to equal signal and noise", async () => {
  const job = await model.resolve(
    { ...EDIT, prompt: "x", strength: 0.15, strengthAs: "linear" as const },
    open,
  );
  expect(job).toMatchObject({ operation: "edit" });
  expect("strength" in job && Math.abs(job.strength - 0.308)).toBeLessThan(0.005);
});

test("Kandinsky3.generate goes on with a stopped edit from its JSON, and refuses another picture", async () => {
  const request = { ...EDIT, prompt: PROMPTS[0]!, seed: 0 };
  const [whole] = await draw(request);
  let state: unknown;
  for await (const event of model.generate(request, { open })) {
    if (event.type !== "step" || event.index !== 1) continue;
    state = event.state;
    break;
  }
  const { job: told, ...rest } = state as { job: object; fingerprint: string; done: number[] };
  const job = jobSchema.parse(JSON.parse(JSON.stringify(told)));
  const pictures: Picture[] = [];
  for await (const event of model.generate(job, { open, resume: { ...rest, job } })) {
    if (event.type === "picture") pictures.push(event.picture);
  }
  expect(worst(pictures[0]!, whole!)).toBe(0);
  const other: OpenFile = () => encodePixels({ ...photo, data: photo.data.map((v) => v ^ 1) }, "png");
  const run = async () => {
    for await (const _ of model.generate(job, { open: other }));
  };
  await expect(run()).rejects.toMatchObject({ code: "picture_unfit" });
});

test("jobSchema reads jobs that were written before there were operations", () => {
  const old = {
    pictures: [{ index: 0, prompt: "x", seed: 0 }],
    width: 64,
    height: 32,
    steps: 3,
    guidance: 3,
  };
  const more = {
    guidanceRescale: 0,
    sampler: "ddpm",
    spacing: "uniform",
    profile: "diffusers",
    rng: "keyed",
  };
  const job = jobSchema.parse({ ...old, ...more, batchText: "each" });
  expect(job).toMatchObject({ operation: "generate", canvas: { width: 64, height: 32 } });
});

test.each([
  [{ strength: 0.01 }, "option_invalid", "strength", "at least 0.167"],
  [{ strength: 0 }, "option_invalid", "strength", "more than 0"],
  [{ strength: 1.5 }, "option_invalid", "strength", "at most 1"],
  [{ strengthAs: "lineal" }, "option_unknown", "strengthAs", "schedule, linear"],
  [{ image: "" }, "option_invalid", "image", ""],
  [{ image: "none.png" }, "file_missing", "none.png", ""],
  [{ operation: "edti" }, "option_unknown", "operation", "generate, edit"],
])("Kandinsky3.resolve refuses %j", async (given, code, where, wanted) => {
  const request = { ...EDIT, prompt: "x", ...given } as unknown as PictureRequest;
  const error = await model.resolve(request, open).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code, parts: { where } });
  expect((error as { parts: { wanted?: string } }).parts.wanted ?? "").toContain(wanted);
});

test("Kandinsky3.resolve refuses pictures that are too small, unless a size is named", async () => {
  const dot: OpenFile = () =>
    encodePixels({ width: 15, height: 64, data: photo.data.slice(0, 3 * 15 * 64) }, "png");
  await expect(model.resolve({ ...UNSIZED, prompt: "x" }, dot)).rejects.toMatchObject({
    code: "picture_unfit",
    parts: { seen: "15x64", wanted: "at least 16 pixels a side" },
  });
  const job = await model.resolve({ ...EDIT, prompt: "x", width: 32, height: 64 }, dot);
  expect(job.canvas).toEqual({ width: 32, height: 64 });
});
