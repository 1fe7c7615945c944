import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodePixels, featherMask, type Picture, type SoftMask } from "../image/mod.ts";
import { type InpaintRequest, Kandinsky3, type OpenFile, type PictureRequest } from "./mod.ts";
import { keptCells } from "./tell-hole.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));

let model: Kandinsky3;
/** With a U-Net of 9 input channels. */
let nine: Kandinsky3;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kandinsky-nine-"));
  const filter = (source: string) => basename(source) !== ".kandinsky";
  cpSync(join(GOLDEN, "tiny-k3"), folder, { recursive: true, filter });
  rmSync(join(folder, "unet"), { recursive: true });
  cpSync(join(GOLDEN, "tiny-k3-inpaint", "unet"), join(folder, "unet"), { recursive: true, filter });
  model = await Kandinsky3.load({ threads: 1 });
  nine = await Kandinsky3.load({ model: folder, threads: 1 });
});
afterAll(async () => {
  await model.dispose();
  await nine.dispose();
  rmSync(folder, { recursive: true });
});

/** Coloured blobs on a ramp, so that every place is told from every other. */
function photoOf(width: number, height: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const wave = Math.round(40 * Math.sin(x / 5) * Math.cos(y / 7));
      data.set([90 + x + wave, 60 + 2 * y, 150 - x + wave], 3 * (y * width + x));
    }
  }
  return { width, height, data };
}

const PHOTO = photoOf(96, 64);
const open: OpenFile = async (name) => {
  const [width = 96, height = 64] = (/(\d+)x(\d+)/.exec(name)?.slice(1) ?? []).map(Number);
  return encodePixels(photoOf(width, height), "png");
};

async function draw(request: PictureRequest, by = model) {
  const pictures: Picture[] = [];
  const notices: unknown[] = [];
  const requests: PictureRequest[] = [];
  for await (const event of by.generate(request, { open })) {
    if (event.type === "notice") notices.push(event);
    if (event.type === "picture") {
      pictures[event.job.index] = event.picture;
      requests[event.job.index] = (event.metadata.json as { request: PictureRequest }).request;
    }
  }
  return { pictures, notices, requests };
}

const worst = (a: Picture, b: Picture) => {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
};

const BOX = { from: "box", left: 30, top: 20, width: 24, height: 16 } as const;
const INPAINT = { operation: "inpaint", image: "photo.png", mask: BOX, region: "whole", steps: 4 } as const;
const PROMPTS = ["two pandas on a pink background, noto style", "кот"];

function boxMask(
  { left, top, width, height }: typeof BOX,
  size: Pick<Picture, "width" | "height">,
): SoftMask {
  const data = Uint8Array.from({ length: size.width * size.height }, (_, i) => {
    const [x, y] = [i % size.width, Math.floor(i / size.width)];
    return x >= left && x < left + width && y >= top && y < top + height ? 255 : 0;
  });
  return { width: size.width, height: size.height, data };
}

/** Pixels outside of the box and its feather that differ from the photo; and pixels inside that do. */
function changes(seen: Picture, photo: Picture, box: typeof BOX, feather: number) {
  const alpha = featherMask(boxMask(box, photo), feather);
  const count = { outside: 0, inside: 0 };
  for (let i = 0; i < alpha.length; i++) {
    const differs = [0, 1, 2].some((c) => seen.data[3 * i + c] !== photo.data[3 * i + c]);
    if (differs) count[alpha[i] === 0 ? "outside" : "inside"]++;
  }
  return count;
}

test.each([
  ["guided", {}],
  ["guidance 0", { guidance: 0 }],
  ["one step", { steps: 1 }],
  ["half strength", { strength: 0.5, steps: 8 }],
  ["another sampler", { sampler: "dpm++2m" }],
] as const)(
  "Kandinsky3.generate inpaints: a batch equals single pictures, all else stays bit for bit, %s",
  async (_, given) => {
    const options = { ...INPAINT, ...given } as InpaintRequest;
    const { pictures } = await draw({ ...options, prompt: PROMPTS, seed: 0 });
    for (const [k, prompt] of PROMPTS.entries()) {
      const alone = await draw({ ...options, prompt, seed: k });
      expect(worst(pictures[k]!, alone.pictures[0]!), `picture ${k}`).toBeLessThanOrEqual(2);
      const { outside, inside } = changes(pictures[k]!, PHOTO, BOX, 4);
      expect(outside).toBe(0);
      expect(inside).toBeGreaterThan(BOX.width * BOX.height * 0.9);
    }
  },
);

test("Kandinsky3.generate tells how it inpaints, by the checkpoint", async () => {
  const request = { ...INPAINT, prompt: PROMPTS[0]!, seed: 0, steps: 2 };
  const blending = await draw(request);
  const told = await draw(request, nine);
  expect(blending.notices).toMatchObject([{ notice: "inpainting", by: "blending" }]);
  expect(told.notices).toMatchObject([{ notice: "inpainting", by: "nine-channels" }]);
  expect([model.info.inpaints, nine.info.inpaints]).toEqual([false, true]);
  expect(changes(told.pictures[0]!, PHOTO, BOX, 4).outside).toBe(0);
});

test("Kandinsky3.generate: a model for inpainting draws from text and edits too", async () => {
  const drawn = await draw({ prompt: PROMPTS, seed: 0, steps: 2, width: 96, height: 64 }, nine);
  expect(worst(drawn.pictures[0]!, drawn.pictures[1]!)).toBeGreaterThan(0);
  const edited = await draw({ operation: "edit", image: "photo.png", prompt: "x", seed: 0, steps: 4 }, nine);
  expect([edited.pictures[0]!.width, edited.pictures[0]!.height]).toEqual(
    [78, 52].map((n, i) => (nine.info.side >= 96 ? [96, 64][i]! : n)),
  );
});

test("Kandinsky3.generate: a model for inpainting extends, and draws larger than its windows", async () => {
  const extended = await draw({ operation: "extend", image: "photo.png", left: 40, seed: 0, steps: 2 }, nine);
  expect(extended.notices).toMatchObject([{ by: "nine-channels" }]);
  const [wide] = extended.pictures;
  expect([wide!.width, wide!.height]).toEqual([136, 64]);
  for (let y = 0; y < 64; y++) {
    const row = wide!.data.subarray(3 * (136 * y + 40), 3 * 136 * (y + 1));
    expect([...row]).toEqual([...PHOTO.data.subarray(3 * 96 * y, 3 * 96 * (y + 1))]);
  }
  const long = await draw(
    { operation: "panorama", prompt: "x", width: 160, height: 32, seed: 0, steps: 2 },
    nine,
  );
  expect([long.pictures[0]!.width, long.pictures[0]!.height]).toEqual([160, 32]);
});

test("Kandinsky3.generate: 9 channels see mask and picture: another mask or picture draws another hole", async () => {
  const request = { ...INPAINT, prompt: "x", seed: 0, steps: 2, matchColors: false, feather: 0 };
  const {
    pictures: [first],
  } = await draw(request, nine);
  const wider = { ...BOX, width: 40 };
  const {
    pictures: [second],
  } = await draw({ ...request, mask: wider }, nine);
  const inBox = (p: Picture) => {
    const at = 3 * (24 * 96 + 40);
    return [...p.data.subarray(at, at + 24)];
  };
  expect(inBox(second!)).not.toEqual(inBox(first!));
});

test("Kandinsky3.generate draws the surroundings of a small hole enlarged, and pastes them back in place", async () => {
  const box = { ...BOX, left: 200, top: 120, width: 20, height: 12 };
  const request = { ...INPAINT, image: "photo-320x240.png", mask: box, region: "auto", padding: 8 } as const;
  const job = await model.resolve({ ...request, prompt: "x" }, open);
  expect(job).toMatchObject({
    region: "mask",
    area: { left: 192, top: 112, width: 36, height: 28 },
    canvas: { width: 64, height: 32 },
    width: 320,
    height: 240,
  });
  const { pictures } = await draw({ ...request, prompt: "a red apple", seed: 0 });
  const { outside, inside } = changes(pictures[0]!, photoOf(320, 240), box as typeof BOX, 4);
  expect(outside).toBe(0);
  expect(inside).toBeGreaterThan(200);
});

test("Kandinsky3.generate: the request in the picture makes it again", async () => {
  const color = { from: "color", color: "#966496", tolerance: 20 } as const;
  const given = {
    prompt: "a red apple",
    seed: 5,
    mask: color,
    grow: 2,
    feather: 3,
    invert: true,
    strength: 0.6,
  };
  const first = await draw({ ...INPAINT, ...given, strengthAs: "linear" as const, count: 2 });
  const again = await draw(first.requests[1]!);
  expect(again.pictures[0]).toEqual(first.pictures[1]);
  expect(again.requests[0]).toEqual(first.requests[1]);
});

test("keptCells takes the first pixel of a cell, and keeps holes that fall between", () => {
  const size = { width: 32, height: 16 };
  const keep = new Float32Array(512).fill(1);
  const open = (x: number, y: number) => keep.fill(0, y * 32 + x, y * 32 + x + 1);
  // Beside a first pixel that is open, cells that are only touched stay kept.
  for (let y = 0; y < 8; y++) for (let x = 8; x < 18; x++) open(x, y);
  expect([...keptCells(keep, size, 8).data]).toEqual([1, 0, 0, 1, 1, 1, 1, 1]);
  const dot = new Float32Array(512).fill(1);
  dot[10 * 32 + 29] = 0;
  expect([...keptCells(dot, size, 8).data]).toEqual([1, 1, 1, 1, 1, 1, 1, 0]);
});
