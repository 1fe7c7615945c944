import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readMetadata } from "../../../src/image/mod.ts";
import { copyOfTiny, runCli, runHere, startCli, TINY, temporaryFolder } from "../test-support.ts";

const LORAS = join(TINY, "..", "lora");
const KOHYA = join(LORAS, "kohya.safetensors");
const DIFFUSERS = join(LORAS, "pytorch_lora_weights.safetensors");

/** Draws one small picture and returns its path. */
async function draw(name: string, words: readonly string[]): Promise<string> {
  const path = join(temporaryFolder(), name);
  const quick = ["--steps", "2", "--size", "64x64", "--seed", "5", "--output", path];
  const { code, stderr } = await runCli(["generate", "a cat", ...quick, ...words]);
  expect(code, stderr).toBe(0);
  return path;
}

test("kandinsky generate --lora: both namings draw the same, a merged model too, and the base is untouched", async () => {
  const folder = temporaryFolder();
  const model = copyOfTiny(folder);
  const base = readFileSync(await draw("base.png", ["--model", model]));
  const with1 = await draw("kohya.png", ["--model", model, "--lora", `${KOHYA}:0.5`]);
  const with2 = await draw("diffusers.png", ["--model", model, "--lora", `${DIFFUSERS}:0.5`]);
  const pixelsOf = (path: string) => readFileSync(path).subarray(-200);
  expect(pixelsOf(with1).equals(base.subarray(-200))).toBe(false);
  expect(pixelsOf(with2).equals(pixelsOf(with1))).toBe(true);
  expect(readMetadata(readFileSync(with1)).json).toMatchObject({
    loras: [{ name: "kohya.safetensors", weight: 0.5, hash: expect.stringMatching(/^[0-9a-f]{64}$/) }],
  });

  const unet = join(model, "unet", "diffusion_pytorch_model.safetensors");
  const before = readFileSync(unet);
  const out = join(folder, "merged.safetensors");
  const two = ["--lora", `${KOHYA}:0.25`, "--lora", `${DIFFUSERS}:0.25`];
  const { code, stdout, stderr } = await runCli(["lora", "merge", model, out, ...two]);
  expect([code, stdout], stderr).toEqual([0, `${out}\n`]);
  expect(readFileSync(unet).equals(before)).toBe(true);
  const again = await draw("again.png", ["--model", model]);
  expect(readFileSync(again).equals(base)).toBe(true);
  cpSync(out, unet);
  const merged = await draw("merged.png", ["--model", model]);
  expect(pixelsOf(merged).equals(pixelsOf(with1))).toBe(true);
});

test("kandinsky repeat says which LoRA the picture was made with, and draws it again with that", async () => {
  const path = await draw("a.png", ["--model", TINY, "--lora", KOHYA]);
  const repeat = (name: string, words: readonly string[]) =>
    runCli(["repeat", path, "--model", TINY, "--output", `${path}-${name}.png`, ...words]);
  const without = await repeat("without", []);
  expect([without.code, without.stderr]).toEqual([0, expect.stringContaining("kohya.safetensors:1")]);
  const withIt = await repeat("with", ["--lora", KOHYA]);
  expect([withIt.code, withIt.stderr]).toEqual([0, ""]);
  expect(readFileSync(`${path}-with.png`).equals(readFileSync(path))).toBe(true);
  expect(readFileSync(`${path}-without.png`).equals(readFileSync(path))).toBe(false);
});

test("kandinsky generate --resume goes on with the same LoRA, and refuses another of its name", async () => {
  const cwd = temporaryFolder();
  const lora = join(cwd, "style.safetensors");
  cpSync(KOHYA, lora);
  const words = [
    "generate",
    "a cat",
    "--model",
    TINY,
    "--seed",
    "3",
    "--steps",
    "30",
    "--lora",
    "style.safetensors",
  ];
  let told = "";
  let isTold = false;
  const { outcome, kill } = startCli([...words, "--output", "a.png", "--json"], {
    cwd,
    onOutput: (text) => {
      told += text;
      // Once: a second one ends it at once, with nothing saved.
      if (isTold || told.split('"type":"step"').length <= 3) return;
      isTold = true;
      kill("SIGINT");
    },
  });
  const stopped = await outcome;
  expect(stopped.code, stopped.stderr).toBe(130);
  const resume = ["generate", "--resume", "kandinsky-resume-0001.json"];
  cpSync(DIFFUSERS, lora);
  const refused = await runCli(resume, { cwd });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("another LoRA of this name")]);
  cpSync(KOHYA, lora);
  const done = await runCli(resume, { cwd });
  expect(done.code, done.stderr).toBe(0);
  await runCli([...words, "--output", "whole.png"], { cwd });
  expect(readFileSync(join(cwd, "a.png")).equals(readFileSync(join(cwd, "whole.png")))).toBe(true);
});

test("kandinsky lora inspect prints layers, ranks and alphas, and whether the file fits", async () => {
  const { code, stdout } = await runHere(["lora", "inspect", KOHYA, "--model", join(TINY, "unet")]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/add_time_condition_attention_to_k +4 +8 +\[4,40\] +\[24,4\]/);
  expect(stdout).toContain("100 layers, 13,248 parameters");
  expect(stdout).toContain(`fits ${join(TINY, "unet")}`);
  const json = JSON.parse((await runHere(["lora", "inspect", DIFFUSERS, "--json"])).stdout);
  expect(json.layers).toHaveLength(100);
  expect(json.layers[0]).toMatchObject({ naming: "diffusers", rank: 4, alpha: 8 });
});

test("kandinsky lora: mistakes are told, and nothing is written", async () => {
  const folder = temporaryFolder();
  const taken = join(folder, "taken.safetensors");
  writeFileSync(taken, "mine");
  const own = join(copyOfTiny(folder), "unet", "diffusion_pytorch_model.safetensors");
  const before = readFileSync(own);
  const bad = join(LORAS, "bad-target.safetensors");
  const rows: readonly (readonly [readonly string[], string])[] = [
    [["merg", TINY, taken], "did you mean merge?"],
    [["merge", TINY], "an argument is missing"],
    [["inspect", KOHYA, KOHYA], "too many arguments"],
    [["inspect", join(folder, "none.safetensors")], "none.safetensors"],
    [["inspect", bad, "--model", TINY], "unet.mid_block.attentions.0.attn1.to_q.lora_A.weight"],
    [["merge", TINY, taken], "--lora"],
    [["merge", TINY, taken, "--lora", KOHYA], "--overwrite"],
    [["merge", TINY, join(folder, "new"), "--lora", bad], "mid_block"],
    [["merge", join(folder, "model"), own, "--overwrite", "--lora", KOHYA], "made from"],
  ];
  for (const [words, said] of rows) {
    const { code, stderr } = await runHere(["lora", ...words]);
    expect([words, code, stderr]).toEqual([words, 2, expect.stringContaining(said)]);
  }
  expect(readFileSync(own).equals(before)).toBe(true);
  expect(readdirSync(folder).sort()).toEqual(["model", "taken.safetensors"]);
  const { code, stderr } = await runCli(["generate", "a cat", "--model", TINY, "--lora", bad]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("the model has no such layer")]);
});
