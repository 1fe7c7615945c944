import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { copyOfTiny, runCli, runHere, temporaryFolder } from "./test-support.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));
const NATIVE = ["kandinsky3.pt", "projection.pt"].map((name) => join(GOLDEN, "native", name));

test("convert: native files become a model that draws in the native profile", {
  timeout: 120_000,
}, async () => {
  const folder = temporaryFolder();
  const model = copyOfTiny(folder);
  const weights = join(model, "unet/diffusion_pytorch_model.safetensors");
  rmSync(weights);
  const { code, stdout, stderr } = await runCli(["convert", ...NATIVE, model]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n")[0]).toBe(`${weights}: 1,063 tensors, 750 kB`);
  expect(stdout.split("\n")[1]).toContain(`${join(model, "null_embedding.safetensors")}: 1 tensors`);
  const picture = join(folder, "fox.png");
  const drawn = await runCli([
    ...["generate", "fox", "--model", model, "--profile", "native", "--steps", "1", "--seed", "0"],
    ...["--size", "64x64", "--output", picture],
  ]);
  expect(drawn.code, drawn.stderr).toBe(0);
  expect(existsSync(picture)).toBe(true);
});

test("convert tells what the folder still lacks, and replaces files with --overwrite only", async () => {
  const output = join(temporaryFolder(), "model");
  const { code, stderr } = await runHere(["convert", ...NATIVE, output]);
  const lacks = [
    `no released model has these shapes, put its configuration there: ${join(output, "unet/config.json")}`,
    `not there yet, convert its original too: ${join(output, "movq/diffusion_pytorch_model.safetensors")}`,
    `not there yet, convert its original too: ${join(output, "text_encoder/model.safetensors")}`,
    `put the tokenizer of the text encoder there: ${join(output, "tokenizer/spiece.model")}`,
  ];
  expect({ code, stderr }).toEqual({ code: 0, stderr: `${lacks.join("\n")}\n` });
  expect((await runHere(["convert", ...NATIVE, output])).code).toBe(2);
  expect((await runHere(["convert", ...NATIVE, output, "--overwrite"])).code).toBe(0);
});

test("convert refuses a file that wants something run, by name and in both languages", async () => {
  const folder = temporaryFolder();
  const file = join(GOLDEN, "checkpoints/hostile/reduce-os-system.pt");
  const said = await runHere(["convert", file, join(folder, "a.safetensors")]);
  expect([said.code, said.stdout]).toEqual([2, ""]);
  expect(said.stderr).toMatch(/^error: the file is refused, nothing of it was run: .*"(os|posix).system"/);
  const { stderr } = await runHere(["convert", file, join(folder, "a.safetensors"), "--lang", "ru"]);
  expect(stderr).not.toMatch(/refused|global|wanted|download/);
  expect(readdirSync(folder)).toEqual([]);
});

test("convert: mistakes are told without a trace", async () => {
  const one = await runHere(["convert", NATIVE[0]!]);
  expect([one.code, one.stderr.includes("kandinsky convert")]).toEqual([2, true]);
  const lone = await runHere(["convert", NATIVE[0]!, temporaryFolder()]);
  expect(lone.stderr).toContain("the U-Net is not whole without the text projection");
  expect(lone.stderr).not.toContain(" at ");
  const taken = await runHere([
    "convert",
    join(GOLDEN, "checkpoints/views.pt"),
    join(GOLDEN, "rng.safetensors"),
  ]);
  expect([taken.code, taken.stderr.includes("exists already")]).toEqual([2, true]);
  expect(readFileSync(join(GOLDEN, "rng.safetensors")).length).toBeGreaterThan(1e5);
});
