import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/mod.ts";
import { copyOfTiny, runCli, runHere, TINY, temporaryFolder } from "./test-support.ts";

/** A mistake on the command line, and what the message must name. */
type Mistake = readonly [name: string, words: readonly string[], names: readonly string[]];

const MISTAKES: readonly Mistake[] = [
  ["an unknown command", ["generat", "x"], ["generat", "did you mean generate?"]],
  ["an unknown option", ["generate", "x", "--stpes", "4"], ["--stpes", "did you mean --steps?"]],
  ["an unknown language", ["generate", "x", "--lang", "de"], ["--lang", "en, ru"]],
  ["an option without its value", ["generate", "x", "--seed"], ["--seed"]],
  ["no image to repeat", ["repeat"], ["IMAGE"]],
  ["too many arguments", ["inspect", "a", "b"], ["kandinsky inspect --help"]],
  ["negative steps", ["generate", "x", "--steps", "-2"], ["--steps", "-2", "at least 1"]],
  ["fractional steps", ["generate", "x", "--steps", "2.5"], ["--steps", "2.5", "a whole number"]],
  ["steps that are no number", ["generate", "x", "--steps", "many"], ["--steps", '"many"', "a number"]],
  ["no pictures", ["generate", "x", "--count", "0"], ["--count", "0", "at least 1"]],
  ["a negative seed", ["generate", "x", "--seed", "-1"], ["--seed", "-1"]],
  ["a fractional seed", ["generate", "x", "--seed", "1.5"], ["--seed", "1.5", "a whole number"]],
  [
    "a guidance rescale beyond 1",
    ["generate", "x", "--guidance-rescale", "2"],
    ["--guidance-rescale", "at most 1"],
  ],
  [
    "an interval of one number",
    ["generate", "x", "--guidance-interval", "5"],
    ["--guidance-interval", '"5"'],
  ],
  ["an unknown sampler", ["generate", "x", "--sampler", "eulr"], ["--sampler", "did you mean euler?"]],
  [
    "an unknown profile",
    ["generate", "x", "--profile", "difusers"],
    ["--profile", "did you mean diffusers?"],
  ],
  ["an unknown spacing", ["generate", "x", "--spacing", "karas"], ["--spacing", "did you mean karras?"]],
  ["an unknown device", ["generate", "x", "--device", "webgp"], ["--device", "did you mean webgpu?"]],
  ["an unknown format", ["generate", "x", "--format", "pngg"], ["--format", "did you mean png?"]],
  [
    "a size off the unit",
    ["generate", "x", "--size", "100x64"],
    ["--size", "100", "multiple of 64", "64 and 128"],
  ],
  ["a size of one number", ["generate", "x", "--size", "64"], ["--size", "512x768"]],
  ["a ratio of one number", ["generate", "x", "--ratio", "16"], ["--ratio", "16:9"]],
  ["memory without a unit", ["generate", "x", "--memory", "8"], ["--memory", '"8"', "8GB"]],
  ["too little memory", ["generate", "x", "--memory", "90M"], ["0.1 GB allowed", "at least"]],
  [
    "a size beyond memory",
    ["generate", "x", "--size", "640000x640000"],
    ["640000x640000", "GB free", "fits"],
  ],
  ["a folder that is not there", ["generate", "x", "--output", join("no-folder", "x.png")], ["no-folder"]],
  ["a folder as output", ["generate", "x", "--output", "FOLDER.png"], ["FOLDER.png", "a folder"]],
  [
    "an unknown word in the name",
    ["generate", "x", "--output", "{sed}.png"],
    ["{sed}", "did you mean {seed}?"],
  ],
  [
    "a kind of picture nobody writes",
    ["generate", "x", "--output", "x.gif"],
    [".gif", ".png, .webp or .jpeg"],
  ],
  [
    "a name and a format that differ",
    ["generate", "x", "--output", "x.png", "--format", "webp"],
    ["webp, .png"],
  ],
  ["no prompt", ["generate"], ["kandinsky generate a red cat"]],
  ["a missing file of prompts", ["generate", "--prompts", "none.txt"], ["none.txt"]],
  ["a prompt and a file of prompts", ["generate", "x", "--prompts", "none.txt"], ["--prompts"]],
  ["a missing model", ["generate", "x", "--model", "no-model"], ["no-model"]],
  ["a missing null embedding", ["generate", "x", "--profile", "native"], ["null_embedding.safetensors"]],
  ["a spacing that the sampler lacks", ["generate", "x", "--spacing", "karras"], ["DDPM", "karras"]],
  ["a missing image", ["repeat", "none.png"], ["none.png"]],
  ["a text as image", ["repeat", "TEXT.txt"], ["TEXT.txt"]],
  ["a missing stopped run", ["generate", "--resume", "none.json"], ["none.json"]],
  ["another file as stopped run", ["generate", "--resume", "TEXT.txt"], ["TEXT.txt"]],
  ["a stopped run and a prompt", ["generate", "x", "--resume", "none.json"], ["PROMPT"]],
  ["a stopped run and other steps", ["generate", "--resume", "none.json", "--steps", "3"], ["--steps"]],
  ["nothing to inspect", ["inspect", "nothing-here"], ["nothing-here"]],
];

/** The tiny model, unless the case names one, and files in an empty folder. */
function prepared(words: readonly string[], folder: string): string[] {
  mkdirSync(join(folder, "FOLDER.png"), { recursive: true });
  writeFileSync(join(folder, "TEXT.txt"), "nothing of use");
  const placed = words.map((word) =>
    /^(FOLDER|TEXT|no-|none\.|\{sed)/.test(word) ? join(folder, word) : word,
  );
  return words[0] === "generate" && words[1] === "x" && !words.includes("--model")
    ? [...placed, "--model", TINY]
    : placed;
}

test.each(MISTAKES)("runCommandLine refuses %s", async (_, words, names) => {
  const folder = temporaryFolder();
  const before = ["FOLDER.png", "TEXT.txt"];
  const { code, stdout, stderr } = await runHere(prepared(words, folder));
  expect(code, stderr).toBe(2);
  expect(stdout).toBe("");
  for (const name of names) expect(stderr).toContain(name);
  expect(stderr).toMatch(/^error: /);
  expect(stderr, "a stack trace").not.toMatch(/\n\s+at /);
  expect(stderr).not.toContain("undefined");
  expect(readdirSync(folder).sort()).toEqual(before);
});

test.each(MISTAKES)("runCommandLine refuses %s in Russian", async (name, words) => {
  if (name === "an unknown language") return;
  const { code, stderr } = await runHere(prepared(words, temporaryFolder()), { LANG: "ru_RU.UTF-8" });
  expect(code, stderr).toBe(2);
  const [first = "", hint = "подсказки нет"] = stderr.trimEnd().split("\n");
  const what = first.split(": ")[1] ?? "";
  expect(first).toMatch(/^ошибка: /);
  expect(what, "what failed").toMatch(/[а-я]/);
  expect(hint, "what to do").toMatch(/[а-я]/);
});

/** Breaks a copy of the tiny model. */
const DAMAGES: readonly (readonly [string, (folder: string) => void, readonly string[]])[] = [
  ["without a U-Net", (f) => rmSync(join(f, "unet"), { recursive: true }), ["unet", "incomplete"]],
  ["without a tokenizer", (f) => emptyFolder(join(f, "tokenizer")), ["tokenizer", "spiece.model"]],
  ["without weights", (f) => rmSync(weightsOf(f, "movq")), ["movq", "cannot find the weights"]],
  ["with truncated weights", (f) => truncateSync(weightsOf(f, "unet"), 5000), ["unet", "safetensors"]],
  [
    "with a header beyond the file",
    (f) => writeFileSync(weightsOf(f, "unet"), Buffer.from([255, 255, 255, 1, 0, 0, 0, 0, 123])),
    ["unet", "safetensors"],
  ],
  [
    "with a link out of its folder",
    (f) => {
      rmSync(weightsOf(f, "movq"));
      symlinkSync(weightsOf(TINY, "movq"), weightsOf(f, "movq"));
    },
    ["movq", "link"],
  ],
  [
    "of another family",
    (f) => writeFileSync(join(f, "model_index.json"), '{"_class_name":"StableDiffusionXLPipeline"}'),
    ["Stable Diffusion XL", "model_index.json"],
  ],
  [
    "with an index of a missing shard",
    (f) => {
      rmSync(weightsOf(f, "unet"));
      const index = { metadata: {}, weight_map: { "conv_in.weight": "shard-1.safetensors" } };
      writeFileSync(join(f, "unet", "diffusion_pytorch_model.safetensors.index.json"), JSON.stringify(index));
    },
    ["shard-1.safetensors", "not there"],
  ],
];

function weightsOf(folder: string, part: string): string {
  return join(folder, part, "diffusion_pytorch_model.safetensors");
}

function emptyFolder(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
}

test.each(DAMAGES)("runCommandLine refuses a model %s", async (_, damage, names) => {
  const folder = temporaryFolder();
  const model = copyOfTiny(folder);
  damage(model);
  const output = join(folder, "x.png");
  const { code, stderr } = await runHere(["generate", "x", "--model", model, "--output", output]);
  expect(code, stderr).toBe(2);
  for (const name of names) expect(stderr).toContain(name);
  expect(stderr, "a stack trace").not.toMatch(/\n\s+at /);
  expect(readdirSync(folder)).toEqual(["model"]);
});

test("kandinsky generate names the operation that makes a value which is not a number", async () => {
  const folder = temporaryFolder();
  const model = copyOfTiny(folder);
  const file = weightsOf(model, "unet");
  const { entries } = await readSafetensorsHeader(file);
  const { offset, byteLength } = entries.get("conv_in.bias")!;
  const bytes = readFileSync(file);
  bytes.fill(0xff, offset, offset + byteLength);
  writeFileSync(file, bytes);
  const { code, stderr } = await runCli(["generate", "x", "--model", model, "--steps", "2"], { cwd: folder });
  expect(code, stderr).toBe(3);
  expect(stderr).toContain("conv_in");
  expect(readdirSync(folder)).toEqual(["model"]);
});
