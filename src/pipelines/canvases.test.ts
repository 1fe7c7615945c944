import { afterAll, beforeAll, expect, test } from "vitest";
import { cropPicture, encodePixels, type Picture } from "../image/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import { Kandinsky3, type OpenFile, type PictureRequest } from "./mod.ts";

let model: Kandinsky3;
beforeAll(async () => {
  model = await Kandinsky3.load({ threads: 1 });
});
afterAll(() => model.dispose());

/** 50x38 pixels of smooth colours with some noise, so that every pixel counts. */
const PHOTO: Picture = (() => {
  const noise = normal(keyOf(9), [38 * 50 * 3]).data;
  const data = Uint8Array.from(noise, (n, i) =>
    Math.min(255, Math.max(0, Math.round(120 + (i % 150) / 2 + 6 * n))),
  );
  return { width: 50, height: 38, data };
})();
const open: OpenFile = () => encodePixels(PHOTO, "png");

async function draw(request: PictureRequest) {
  const pictures: Picture[] = [];
  const requests: PictureRequest[] = [];
  for await (const event of model.generate(request, { open })) {
    if (event.type !== "picture") continue;
    pictures[event.job.index] = event.picture;
    requests[event.job.index] = (event.metadata.json as { request: PictureRequest }).request;
  }
  return { pictures, requests };
}

const worst = (a: Picture, b: Picture) => {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
};

/** Mean difference of two neighbouring columns. */
function step(picture: Picture, left: number, right: number): number {
  let sum = 0;
  for (let y = 0; y < picture.height; y++) {
    for (let c = 0; c < 3; c++) {
      const at = (x: number) => picture.data[3 * (y * picture.width + x) + c]!;
      sum += Math.abs(at(left) - at(right));
    }
  }
  return sum / (3 * picture.height);
}

const EXTEND = { operation: "extend", image: "photo.png", steps: 3, seed: 0 } as const;

test.each([
  ["to the left", { left: 21 }, { width: 71, height: 38, left: 21, top: 0 }],
  [
    "by percent to all sides",
    { left: "10%", right: "50%", top: 7, bottom: "25%" },
    { width: 80, height: 55, left: 5, top: 7 },
  ],
  ["to a shape, by shared noise", { ratio: 3, join: "noise" }, { width: 114, height: 38, left: 32, top: 0 }],
  [
    "with guidance 0 and one step",
    { bottom: 30, guidance: 0, steps: 1 },
    { width: 50, height: 68, left: 0, top: 0 },
  ],
] as const)("Kandinsky3.generate extends %s and keeps old pixels bit for bit", async (_, given, wanted) => {
  const prompt = ["a red apple on a yellow background", "кот"];
  const { pictures, requests } = await draw({ ...EXTEND, ...given, prompt });
  const [picture] = pictures;
  const { left, top, width, height } = wanted;
  expect([picture!.width, picture!.height]).toEqual([width, height]);
  expect(cropPicture(picture!, { left, top, width: 50, height: 38 })).toEqual(PHOTO);
  const again = await draw(requests[0]!);
  expect(again.pictures[0]).toEqual(picture);
});

test("Kandinsky3.resolve refuses an extension by nothing, and a share that is none", async () => {
  const none = await model.resolve({ ...EXTEND, left: "0%" }, open).catch((reason: unknown) => reason);
  expect(none).toMatchObject({ code: "option_invalid", parts: { what: "there is nothing to extend" } });
  const reached = { ...EXTEND, ratio: 50 / 38 };
  await expect(model.resolve(reached, open)).rejects.toMatchObject({ code: "option_invalid" });
  await expect(model.resolve({ ...EXTEND, left: "5" }, open)).rejects.toMatchObject({
    parts: { where: "left" },
  });
});

const PANORAMA = { operation: "panorama", width: 160, height: 64, steps: 4, seed: 0 } as const;

test.each([
  ["average", { join: "average" }],
  ["noise", { join: "noise" }],
  ["average with guidance 0", { join: "average", guidance: 0 }],
  ["average in one step", { join: "average", steps: 1 }],
] as const)(
  "Kandinsky3.generate panorama: picture k of several equals the single one, by %s",
  async (_, given) => {
    const prompt = ["two pandas on a pink background, noto style", "кот"];
    const several = await draw({ ...PANORAMA, ...given, prompt, count: 2 });
    const [second] = (await draw({ ...PANORAMA, ...given, prompt, seed: 1 })).pictures;
    expect(worst(several.pictures[1]!, second!)).toBe(0);
    expect(several.requests[1]).toMatchObject({ operation: "panorama", prompt, seed: 1, count: 1 });
    const again = await draw(several.requests[1]!);
    expect(worst(again.pictures[0]!, second!)).toBe(0);
  },
);

test.each(["average", "noise"] as const)(
  "Kandinsky3.generate goes on with a stopped panorama by %s",
  async (join) => {
    const request: PictureRequest = { ...PANORAMA, prompt: ["кот", "a red apple"], join, sampler: "dpm++2m" };
    const [whole] = (await draw(request)).pictures;
    const pictures: Picture[] = [];
    for await (const event of model.generate(request, { open })) {
      if (event.type !== "step" || event.index !== 1) continue;
      for await (const later of model.generate(event.state.job, { open, resume: event.state })) {
        if (later.type === "picture") pictures.push(later.picture);
      }
      break;
    }
    expect(worst(pictures[0]!, whole!)).toBe(0);
  },
);

test("Kandinsky3.generate panorama gives every section its prompt", async () => {
  const prompts = ["a red apple on a red background", "a blue car on a blue background"];
  const { pictures } = await draw({ ...PANORAMA, prompt: prompts, width: 256, steps: 10 });
  const mean = (left: number, channel: number) => {
    const { data } = cropPicture(pictures[0]!, { left, top: 0, width: 64, height: 64 });
    return data.reduce((sum, value, i) => sum + (i % 3 === channel ? value : 0), 0) / (64 * 64);
  };
  expect(mean(0, 0) - mean(0, 2), "redder on the left").toBeGreaterThan(20);
  expect(mean(192, 2) - mean(192, 0), "bluer on the right").toBeGreaterThan(20);
});

test("Kandinsky3.generate panorama with wrap goes on past its right end", async () => {
  const request = { ...PANORAMA, prompt: "pandas on a pink background", width: 192, steps: 10 };
  const around = (await draw({ ...request, wrap: true })).pictures[0]!;
  const flat = (await draw(request)).pictures[0]!;
  const inner = (picture: Picture) => {
    const steps = Array.from({ length: 191 }, (_, x) => step(picture, x, x + 1));
    return steps.reduce((sum, value) => sum + value, 0) / steps.length;
  };
  const [seam, cut] = [step(around, 191, 0) / inner(around), step(flat, 191, 0) / inner(flat)];
  expect(seam, `seam ${seam}, without wrap ${cut}`).toBeLessThan(1.2);
});

test("Kandinsky3.generate upscales by tiles and stays close to the picture", async () => {
  const request = {
    operation: "upscale",
    image: "photo.png",
    by: 2,
    seed: 0,
    steps: 10,
    strength: 0.2,
  } as const;
  const { pictures, requests } = await draw({ ...request, prompt: ["a wall", "кот"] });
  expect(pictures.map(({ width, height }) => [width, height])).toEqual([
    [100, 76],
    [100, 76],
  ]);
  const alone = await draw({ ...request, prompt: "кот", seed: 1 });
  expect(worst(alone.pictures[0]!, pictures[1]!)).toBe(0);
  for (const given of [{ guidance: 0 }, { steps: 1, strength: 1 }, { join: "average" as const }]) {
    const [other] = (await draw({ ...request, ...given, prompt: "кот" })).pictures;
    expect([other!.width, other!.height]).toEqual([100, 76]);
  }
  const again = await draw(requests[0]!);
  expect(worst(again.pictures[0]!, pictures[0]!)).toBe(0);
  // Mean colours of blocks of 2x2 pixels are those of the picture, about.
  let sum = 0;
  for (let y = 0; y < 38; y++) {
    for (let x = 0; x < 50; x++) {
      for (let c = 0; c < 3; c++) {
        const at = (u: number, v: number) => pictures[0]!.data[3 * ((2 * y + v) * 100 + 2 * x + u) + c]!;
        const block = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1)) / 4;
        sum += Math.abs(block - PHOTO.data[3 * (y * 50 + x) + c]!);
      }
    }
  }
  const mean = sum / PHOTO.data.length;
  expect(mean, `mean difference ${mean}`).toBeLessThan(20);
});
