import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runHere, TINY, temporaryFolder } from "../test-support.ts";

const REPOSITORY = "kandinsky-community/kandinsky-3";

/** Mistakes that are found without a hub, and what the message must name; exit code 2. */
const MISTAKES: readonly (readonly [words: readonly string[], says: RegExp])[] = [
  [["models"], /an argument is missing/],
  [["models", "lst"], /did you mean list\?/],
  [["models", "add"], /kandinsky models add.*\n.*kandinsky models --help/],
  [["models", "list", "x"], /too many arguments/],
  [["models", "list", "--variant", "fp16"], /--variant/],
  [["models", "add", "kandinsky-3"], /no repository.*wanted org\/name/],
  [["models", "add", "a/b/c"], /no repository/],
  [["models", "add", REPOSITORY, "--variant", "fp8"], /--variant.*plain, fp16, bf16/],
  [["models", "add", REPOSITORY, "--name", "../up"], /--name/],
  [["models", "add", REPOSITORY, "--revision", "../up"], /--revision/],
  [["models", "add", REPOSITORY], /HF_HUB_OFFLINE/],
  [["models", "add", "OTHER"], /another family.*Stable Diffusion/],
  [["models", "add", "HALF"], /model.safetensors/],
  [["models", "add", "MIXED"], /model.fp16-00001-of-00001.safetensors/],
  [["models", "add", "OTHER", "--revision", "main"], /--revision/],
  [["models", "add", "PARTS"], /null|unet|tensor/],
  [["models", "info", "none"], /no model of this name/],
  [["models", "remove", "none"], /no model of this name/],
  [["models", "verify", "none"], /no model of this name/],
  [["generate", "x", "--model", "none/here"], /kandinsky models add none\/here/],
  [["repeat", "x.png", "--model", "kandinsky-3"], new RegExp(`kandinsky models add ${REPOSITORY}`)],
  [["doctor", "--model", "kandinsky-3"], /kandinsky models add/],
  [["inspect", "kandinsky-3"], /kandinsky models add/],
  [["lora", "inspect", "style"], /kandinsky models list/],
  [["lora", "merge", "kandinsky-3", "out.safetensors"], /kandinsky models add/],
  [["convert", "kandinsky-3", "out.safetensors"], /kandinsky models add/],
];

/** A folder with models that are none. */
function badModels(): string {
  const folder = temporaryFolder();
  const put = (path: string, text: string) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const index = '{"_class_name": "Kandinsky3Pipeline"}';
  put("OTHER/model_index.json", '{"_class_name": "StableDiffusionPipeline"}');
  put("HALF/model_index.json", index);
  put("HALF/unet/config.json", "{}");
  put("HALF/unet/model.safetensors", "half");
  // The index of one variant, the shard of another.
  put("MIXED/model_index.json", index);
  put("MIXED/unet/config.json", "{}");
  put(
    "MIXED/unet/model.safetensors.index.fp16.json",
    '{"weight_map": {"a": "model.fp16-00001-of-00001.safetensors"}}',
  );
  put("MIXED/unet/model-00001-of-00001.safetensors", "");
  // One content under two names, as in a fork that was seen.
  cpSync(TINY, join(folder, "PARTS"), { recursive: true });
  cpSync(
    join(folder, "PARTS/unet/diffusion_pytorch_model.safetensors"),
    join(folder, "PARTS/movq/diffusion_pytorch_model.safetensors"),
  );
  return folder;
}

test("kandinsky models: mistakes are told in a few lines of either language, with exit code 2", async () => {
  const folder = badModels();
  const home = temporaryFolder();
  const env = { HF_HOME: join(home, "hf"), KANDINSKY_HOME: join(home, "data"), HF_HUB_OFFLINE: "1" };
  for (const [words, says] of MISTAKES) {
    const real = words.map((word) => (/^[A-Z]+$/.test(word) ? join(folder, word) : word));
    const { code, stderr } = await runHere(real, env);
    expect([words, code, stderr]).toEqual([words, 2, expect.stringMatching(says)]);
    if (words[2] !== "PARTS") expect(stderr.trim().split("\n").length, stderr).toBeLessThan(4);
    const russian = await runHere([...real, "--lang", "ru"], env);
    const untold = russian.stderr
      .trim()
      .split("\n")
      .filter((line) => !/[а-я]{3}/.test(line));
    if (words[2] !== "PARTS") expect([words, untold]).toEqual([words, []]);
  }
  // A model that opens and does not bind stays in no list.
  expect(existsSync(join(env.HF_HOME))).toBe(false);
  const listed = await runHere(["models", "list"], env);
  expect([listed.code, listed.stdout]).toEqual([0, ""]);
  const bad = await runHere(["models", "list"], { ...env, HF_ENDPOINT: "nowhere" });
  expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining("HF_ENDPOINT")]);
});
