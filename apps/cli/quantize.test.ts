import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli, runHere, TINY, temporaryFolder } from "./test-support.ts";

test("quantize: the new folder is inspected and drawn with like any model", {
  timeout: 120_000,
}, async () => {
  const folder = temporaryFolder();
  const model = join(folder, "small");
  const made = await runCli(["quantize", TINY, model, "--weights", "int8", "--part", "unet"]);
  expect({ code: made.code, stderr: made.stderr }).toEqual({ code: 0, stderr: "" });
  expect(made.stdout).toMatch(/^unet: \d+ kB, 0\.\d+ of half floats\n$/);
  const inspected = await runHere(["inspect", model]);
  expect([inspected.code, inspected.stdout]).toEqual([0, expect.stringContaining("float16, q8")]);
  expect((await runHere(["doctor", "--model", model])).stdout).toContain("small");
  const picture = join(folder, "fox.png");
  const drawn = await runCli([
    ...["generate", "fox", "--model", model, "--steps", "1", "--seed", "0", "--size", "64x64"],
    ...["--output", picture],
  ]);
  expect(drawn.code, drawn.stderr).toBe(0);
  expect(statSync(picture).size).toBeGreaterThan(100);
});

test("quantize --size measures layers, tells each, and keeps within the size", {
  timeout: 120_000,
}, async () => {
  const model = join(temporaryFolder(), "small");
  const words = ["quantize", TINY, model, "--weights", "int4", "--part", "text_encoder", "--size", "0.6"];
  const { code, stdout, stderr } = await runHere([...words, "--json"]);
  expect(code, stderr).toBe(0);
  const { parts, layers } = JSON.parse(stdout);
  expect(parts[0].bytes).toBeLessThanOrEqual(0.6 * parts[0].halfBytes);
  expect(layers.length).toBe(14);
  const errors = layers.map((layer: { decibels: { int4: number } }) => layer.decibels.int4);
  expect(errors).toEqual([...errors].sort((a, b) => b - a));
  const kinds = new Set(layers.map((layer: { chosen: string }) => layer.chosen));
  expect(kinds.size, [...kinds].join()).toBeGreaterThan(1);
});

const OUT = "nowhere";

test.each([
  ["no precision", [TINY, OUT], ["--weights"]],
  ["an unknown precision", [TINY, OUT, "--weights", "int5"], ["--weights", '"int5"', "did you mean int"]],
  [
    "an unknown part",
    [TINY, OUT, "--weights", "int8", "--part", "unet,vae"],
    ["--part", '"vae"', "text_encoder, unet, movq"],
  ],
  ["a size that is none", [TINY, OUT, "--weights", "int8", "--size", "small"], ["--size", '"small"', "3.2G"]],
  ["a size for fp16", [TINY, OUT, "--weights", "fp16", "--size", "0.5"], ["--size", "int8 or int4"]],
  ["prompts without a size", [TINY, OUT, "--weights", "int8", "--prompts", "x.txt"], ["--prompts", "--size"]],
  ["a folder that is there", [TINY, TINY, "--weights", "int8"], ["exists already", "another folder"]],
] as const)("quantize refuses %s, in both languages, and writes nothing", async (_, words, named) => {
  const { code, stdout, stderr } = await runHere(["quantize", ...words]);
  expect([code, stdout]).toEqual([2, ""]);
  for (const name of named) expect(stderr).toContain(name);
  const russian = await runHere(["quantize", ...words, "--lang", "ru"]);
  expect([russian.code, russian.stderr]).not.toEqual([2, stderr]);
  expect(existsSync(OUT)).toBe(false);
  expect(readdirSync(TINY)).not.toContain(".tmp");
});
