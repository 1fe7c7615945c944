import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { float32 } from "../../../src/tensor/mod.ts";
import { temporaryFolder } from "../test-support.ts";
import { type ResumeData, readResume, writeResume } from "./resume-file.ts";

function dataFor(pattern: string): ResumeData {
  const x = float32([1, 1, 2, 2], [0.1, -3e-9, 1e30, -0]);
  return {
    model: { folder: "models/nano", name: "nano" },
    loras: [{ file: "style.safetensors", weight: 0.8, hash: "c61024bd" }],
    threads: 2,
    output: { pattern, format: "png", overwrite: false },
    sheet: true,
    saved: [{ index: 0, path: "a-1.png" }],
    state: {
      fingerprint: "0123456789ab",
      job: {
        operation: "generate",
        canvas: { width: 64, height: 96 },
        pictures: [
          { index: 0, prompt: "кот", negative: undefined, seed: 0 },
          { index: 1, prompt: "кот", negative: "дом", seed: 2 ** 40 },
        ],
        width: 64,
        height: 96,
        steps: 25,
        guidance: 3,
        guidanceRescale: 0,
        guidanceInterval: [100, 900],
        sampler: "ddpm",
        spacing: "uniform",
        profile: "diffusers",
        threshold: undefined,
        clip: undefined,
        rng: "keyed",
        batchText: "each",
      },
      done: [0],
      current: { pictures: [1], sampler: { index: 7, x, previousX0: float32([1, 1, 2, 2], [1, 2, 3, 4]) } },
    },
  };
}

test("readResume gives back what writeResume wrote, bit for bit", async () => {
  const folder = temporaryFolder();
  const data = dataFor(join(folder, "a-{index}.png"));
  const path = await writeResume(data, undefined);
  expect(path).toBe(join(folder, "kandinsky-resume-0001.json"));
  expect(await readResume(path)).toEqual(data);
  expect(await writeResume(data, path)).toBe(path);
  expect(await writeResume(data, undefined)).toBe(join(folder, "kandinsky-resume-0002.json"));
});

test("writeResume stays in a folder that exists where the pattern's folder is a pattern itself", async () => {
  const folder = temporaryFolder();
  const path = await writeResume(dataFor(join(folder, "{seed}", "a.png")), undefined);
  expect(path).toBe(join(folder, "kandinsky-resume-0001.json"));
});

test("readResume refuses a damaged file and says where", async () => {
  const folder = temporaryFolder();
  const path = await writeResume(dataFor(join(folder, "a.png")), undefined);
  const whole = readFileSync(path, "utf8");
  for (const broken of [whole.slice(0, -5), whole.replace('"ddpm"', '"none"'), "[]", ""]) {
    writeFileSync(path, broken);
    await expect(readResume(path)).rejects.toMatchObject({ code: "file_corrupt", parts: { where: path } });
  }
  // A latent whose values are not as many as its shape says.
  writeFileSync(path, whole.replace("[1,1,2,2]", "[1,1,2,3]"));
  await expect(readResume(path)).rejects.toMatchObject({ code: "file_corrupt" });
  expect(readdirSync(folder)).toEqual(["kandinsky-resume-0001.json"]);
});
