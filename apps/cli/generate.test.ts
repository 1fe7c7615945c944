import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodePicture, encodePicture, readMetadata } from "../../src/image/mod.ts";
import { Kandinsky3 } from "../../src/pipelines/mod.ts";
import { writeResume } from "./generate/resume-file.ts";
import { copyOfTiny, runCli, TINY, temporaryFolder } from "./test-support.ts";

const QUICK = ["--model", TINY, "--steps", "2", "--seed", "5"];

/** Runs a command line that must succeed in an empty folder; its files by name. */
async function drawn(args: readonly string[], { input = "", cwd = temporaryFolder() } = {}) {
  const { code, stdout, stderr } = await runCli(args, { cwd, input });
  expect(code, stderr).toBe(0);
  return { cwd, stdout, stderr, names: readdirSync(cwd).sort() };
}

function requestIn(path: string): Record<string, unknown> {
  const { json } = readMetadata(readFileSync(path), path);
  return (json as { request: Record<string, unknown> }).request;
}

test("kandinsky generate twice gives equal bytes under the next free names, and repeat gives them again", async () => {
  const { cwd, stdout } = await drawn(["generate", "рыжий", "кот", ...QUICK]);
  expect(stdout).toBe("kandinsky-0001.png\n");
  expect((await drawn(["generate", "рыжий", "кот", ...QUICK], { cwd })).stdout).toBe("kandinsky-0002.png\n");
  const repeated = await drawn(["repeat", "kandinsky-0001.png", "--model", TINY, "--output", "r.png"], {
    cwd,
  });
  expect(repeated.stdout).toBe("r.png\n");
  expect(repeated.names).toEqual(["kandinsky-0001.png", "kandinsky-0002.png", "r.png"]);
  const [first, second, third] = repeated.names.map((name) => readFileSync(join(cwd, name)));
  expect(second!.equals(first!)).toBe(true);
  expect(third!.equals(first!)).toBe(true);
  expect(readMetadata(first!).parameters).toMatch(/^рыжий кот\nSteps: 2, Sampler: DDPM, /);
});

test.each(["webp", "jpeg"])(
  "kandinsky generate writes the settings into %s, and repeat makes it again",
  async (format) => {
    const words = ["generate", "a cat", "--negative", "a dog", "--format", format, "--output", "one"];
    const { cwd, names } = await drawn([...words, ...QUICK, "--size", "128x64"]);
    expect(names).toEqual([`one.${format}`]);
    const path = join(cwd, names[0]!);
    expect(requestIn(path)).toMatchObject({
      prompt: "a cat",
      negative: "a dog",
      seed: 5,
      steps: 2,
      width: 128,
    });
    const { width, height } = await decodePicture(readFileSync(path));
    expect([width, height]).toEqual([128, 64]);
    const { stdout } = await drawn(["repeat", path, "--model", TINY], { cwd });
    expect(stdout).toBe(`kandinsky-0001.${format}\n`);
    expect(readFileSync(join(cwd, `kandinsky-0001.${format}`)).equals(readFileSync(path))).toBe(true);
  },
);

test("kandinsky repeat warns, and --resume refuses, where a model of the same name has other weights", async () => {
  const folder = copyOfTiny(temporaryFolder());
  const cwd = temporaryFolder();
  const { info, job } = await Kandinsky3.load({ model: folder }).then(async (model) => ({
    info: model.info,
    job: await model.resolve({ prompt: "x", seed: 0, steps: 1 }),
  }));
  await drawn(["generate", "x", "--model", folder, "--steps", "1"], { cwd });
  const output = { pattern: join(cwd, "a.png"), format: "png", overwrite: false } as const;
  const state = { fingerprint: info.fingerprint, job, done: [] };
  const stopped = { model: info, loras: [], output, sheet: false, saved: [], state };
  const file = await writeResume(stopped, undefined);

  const weights = join(folder, "unet", "diffusion_pytorch_model.safetensors");
  const bytes = readFileSync(weights);
  // The last weight's last digit.
  bytes[bytes.length - 4] = bytes[bytes.length - 4]! ^ 1;
  writeFileSync(weights, bytes);
  const repeated = await drawn(["repeat", "kandinsky-0001.png", "--model", folder], { cwd });
  expect(repeated.stderr).toContain(
    `the model has changed since the picture was made (weights ${info.fingerprint}`,
  );
  const refused = await runCli(["generate", "--resume", file], { cwd });
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("the model has changed since the run was stopped");
  expect(refused.stderr).toContain(info.fingerprint);
});

test("kandinsky repeat reads what pictures held before there were other operations", async () => {
  const { cwd } = await drawn(["generate", "кот", ...QUICK]);
  const first = readFileSync(join(cwd, "kandinsky-0001.png"));
  const { json } = readMetadata(first) as { json: { request: Record<string, unknown> } };
  const { operation: _, ...request } = json.request;
  const metadata = { prompt: "кот", negativePrompt: "", steps: 2, sampler: "DDPM", guidance: 4, seed: 5 };
  const old = { ...metadata, width: 128, height: 128, model: "tiny-k3", json: { ...json, request } };
  writeFileSync(join(cwd, "old.png"), await encodePicture(await decodePicture(first), "png", old));
  await drawn(["repeat", "old.png", "--model", TINY, "--output", "again.png"], { cwd });
  expect(readFileSync(join(cwd, "again.png")).equals(first)).toBe(true);
});

test("kandinsky repeat wants the model that made the picture", async () => {
  const { cwd } = await drawn(["generate", "x", ...QUICK]);
  const { code, stderr } = await runCli(["repeat", "kandinsky-0001.png"], { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain("made with tiny-k3, this model is nano");
  expect(stderr).toContain("--model");
  expect(readdirSync(cwd)).toEqual(["kandinsky-0001.png"]);
});

test("kandinsky generate takes seed 0, guidance 0, one step and a ratio, and warns of an empty prompt", async () => {
  const words = ["generate", "", "--seed", "0", "--guidance", "0", "--steps", "1", "--ratio", "2:1"];
  const { cwd, stderr, names } = await drawn([...words, "--size", "128x128", "--model", TINY]);
  expect(stderr).toContain("the prompt is empty");
  // 128 x 128 pixels in shape 2:1 are 181 x 91, in whole units of 64 that is 192 x 64.
  expect(requestIn(join(cwd, names[0]!))).toMatchObject({
    prompt: "",
    seed: 0,
    guidance: 0,
    steps: 1,
    width: 192,
    height: 64,
  });
});

test("kandinsky generate reads prompts from standard input, names by pattern and adds a sheet", async () => {
  const words = ["generate", "--output", "p-{index}-{seed}.png", "--sheet", "--count", "2"];
  const { cwd, stdout, names } = await drawn([...words, ...QUICK], { input: "a red cat\r\n\r\nсиний дом\n" });
  const pictures = ["p-1-5.png", "p-2-6.png", "p-3-7.png", "p-4-8.png"];
  expect(stdout.trimEnd().split("\n")).toEqual([...pictures, "p-sheet-0001.png"]);
  expect(names).toEqual([...pictures, "p-sheet-0001.png"]);
  const prompts = pictures.map((name) => requestIn(join(cwd, name))["prompt"]);
  expect(prompts).toEqual(["a red cat", "a red cat", "синий дом", "синий дом"]);
  const [one, sheet] = await Promise.all(
    ["p-1-5.png", "p-sheet-0001.png"].map((name) => decodePicture(readFileSync(join(cwd, name)))),
  );
  expect([sheet!.width, sheet!.height]).toEqual([2 * one!.width, 2 * one!.height]);
});

test("kandinsky generate reads a file of prompts in UTF-16, numbers one name, and keeps files unless told", async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "list.txt"), `\ufeff${"кот\r\nдом\r\n"}`, "utf16le");
  const words = ["generate", "--prompts", "list.txt", "--output", "a.png", ...QUICK];
  const { stdout } = await drawn(words, { cwd });
  expect(stdout).toBe("a-1.png\na-2.png\n");
  const before = readFileSync(join(cwd, "a-2.png"));
  const again = await runCli([...words, "--guidance", "5"], { cwd });
  expect(again.code).toBe(2);
  expect(again.stderr).toContain("a-1.png");
  expect(readFileSync(join(cwd, "a-2.png")).equals(before)).toBe(true);
  await drawn([...words, "--guidance", "5", "--overwrite"], { cwd });
  expect(readFileSync(join(cwd, "a-2.png")).equals(before)).toBe(false);
});

test("kandinsky generate in two processes writes one name once, and free names both", async () => {
  const cwd = temporaryFolder();
  const both = (output: string) =>
    Promise.all(
      ["a", "b"].map((prompt) => runCli(["generate", prompt, ...QUICK, "--output", output], { cwd })),
    );
  const codes = (await both("same.png")).map(({ code }) => code).sort();
  expect(codes).toEqual([0, 2]);
  expect(readdirSync(cwd)).toEqual(["same.png"]);
  const free = await both("n-{number}.png");
  expect(free.map(({ stdout }) => stdout).sort()).toEqual(["n-0001.png\n", "n-0002.png\n"]);
  expect(readdirSync(cwd).sort()).toEqual(["n-0001.png", "n-0002.png", "same.png"]);
});

test("kandinsky generate --json prints one event a line, with paths and without pixels", async () => {
  const { stdout } = await drawn(["generate", "x", ...QUICK, "--json", "--guidance", "0.5"]);
  const lines = stdout.trimEnd().split("\n");
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const types = events.map(({ type }) => type).filter((type) => type !== "pack");
  expect(types.slice(0, 2)).toEqual(["start", "notice"]);
  expect(types.filter((type) => type === "step")).toHaveLength(2);
  expect(events.findLast(({ type }) => type === "picture")).toMatchObject({
    path: "kandinsky-0001.png",
    seed: 5,
    prompt: "x",
  });
  expect(events.find(({ type }) => type === "notice")).toMatchObject({
    notice: "guidance-off",
    guidance: 0.5,
  });
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(2000);
});

test("kandinsky generate tells in Russian of cut prompts and unknown characters", async () => {
  const prompt = `${"кот и ".repeat(100)}☃☃`;
  const { stderr } = await drawn(["generate", prompt, ...QUICK, "--lang", "ru", "--guidance", "1"]);
  expect(stderr).toMatch(/запрос обрезан: 128 из \d+ токенов/);
  expect(stderr).toMatch(/модель не знает \d+ из \d+ символов этого запроса: .*☃/);
  expect(stderr).toContain("усиление 1 в профиле diffusers ничего не усиливает");
});

test("kandinsky generate --no-cache leaves nothing beside the model", async () => {
  const cwd = temporaryFolder();
  const model = copyOfTiny(cwd);
  await drawn(["generate", "x", "--model", model, "--steps", "1", "--no-cache"], { cwd });
  expect(existsSync(join(model, ".kandinsky"))).toBe(false);
});

test("kandinsky generate draws with the model that comes along", async () => {
  const { cwd, names } = await drawn(["generate", "a", "red", "cat", "--seed", "0"]);
  expect(names).toEqual(["kandinsky-0001.png"]);
  const request = requestIn(join(cwd, names[0]!));
  expect(request).toMatchObject({ prompt: "a red cat", width: 64, height: 64, steps: 25, sampler: "ddpm" });
});
