import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMANDS } from "./commands.ts";
import { MESSAGES } from "./messages/mod.ts";
import { copyOfTiny, runCli, runHere, TINY, temporaryFolder } from "./test-support.ts";

test.each(["en", "ru"] as const)(
  "kandinsky help in %s names every command, and each shows examples",
  async (lang) => {
    const { code, stdout } = await runHere(["--lang", lang]);
    expect(code).toBe(0);
    for (const name of Object.keys(COMMANDS)) {
      expect(stdout).toContain(name);
      const help = await runHere(["help", name, "--lang", lang]);
      expect(help.code).toBe(0);
      expect(help.stdout).toContain(`${MESSAGES[lang].help.examples}\n`);
      expect(help.stdout).toContain(`kandinsky ${name}`);
      const same = await runHere([name, "--help", "--lang", lang]);
      expect(same.stdout).toBe(help.stdout);
    }
  },
);

test("kandinsky doctor tells about the machine, in JSON too", async () => {
  const { code, stdout, stderr } = await runCli(["doctor", "--json"]);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as { node: string; devices: { device: string; available: boolean }[] };
  expect(report.node).toBe(process.version);
  expect(report.devices.map(({ device }) => device)).toEqual(["cpu", "webgpu", "cuda"]);
  expect(report.devices[0]!.available).toBe(true);
  const { stdout: text } = await runCli(["doctor", "--lang", "ru"]);
  for (const row of Object.values(MESSAGES.ru.doctor.rows)) expect(text).toContain(row);
});

test("kandinsky generate reads a prompt once, with --no-cache each time; doctor deletes what it kept", {
  timeout: 240_000,
}, async () => {
  const folder = temporaryFolder();
  const model = copyOfTiny(folder);
  const texts = async (...more: string[]) => {
    const words = [
      "generate",
      "рыжий кот",
      "--model",
      model,
      "--steps",
      "1",
      "--seed",
      "0",
      "--json",
      ...more,
    ];
    const { code, stdout, stderr } = await runCli(words, { cwd: folder });
    expect(code, stderr).toBe(0);
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { known, encoded } = events.find(({ type }) => type === "texts")!;
    return [known, encoded];
  };
  expect(await texts()).toEqual([0, 1]);
  expect(await texts()).toEqual([1, 0]);
  expect(await texts("--no-cache")).toEqual([0, 1]);
  expect(await texts("--negative", "a dog")).toEqual([1, 1]);
  const pictures = readdirSync(folder).filter((name) => name.endsWith(".png"));
  const [encoded, known] = pictures.sort().map((name) => readFileSync(join(folder, name)));
  expect(known!.equals(encoded!)).toBe(true);

  const { stdout: told } = await runCli(["doctor", "--model", model]);
  expect(told).toMatch(/^encoded prompts +2 in .*--remove-texts/m);
  const { stdout } = await runCli(["doctor", "--model", model, "--remove-texts", "--json"]);
  expect(JSON.parse(stdout).removed.files).toBe(2);
  expect(await texts()).toEqual([0, 1]);
});

test("kandinsky generate --memory tells its plan before and its memory after", {
  timeout: 120_000,
}, async () => {
  const model = copyOfTiny(temporaryFolder());
  const words = ["generate", "x", "--model", model, "--steps", "1", "--output", `${model}.png`];
  const { code, stderr } = await runCli([...words, "--memory", "2G"]);
  expect(code, stderr).toBe(0);
  const rows = stderr.split("\n");
  expect(rows[0]).toBe("plan for 2.15 GB of memory:");
  expect(rows[1]).toMatch(/^ +stage +weights as +memory +mapped weights +loaded meanwhile$/);
  expect(rows[2]).toMatch(/^ +read the prompt +float32 +\d+ MB /);
  if (process.platform === "linux")
    expect(stderr).toMatch(/most memory: \d+ MB of its own, \d+ MB with mapped/);
  const { stdout } = await runCli(["doctor", "--model", model, "--memory", "2G", "--json"]);
  const { pictures } = JSON.parse(stdout) as {
    pictures: { width: number; plan?: object; seconds?: number }[];
  };
  expect(pictures.map(({ width }) => width)).toEqual([128, 64]);
  for (const { plan, seconds } of pictures)
    expect([typeof plan, typeof seconds]).toEqual(["object", "number"]);
});

test("kandinsky doctor --remove-packed deletes prepared weights", async () => {
  const model = copyOfTiny(temporaryFolder());
  const drawn = await runCli(["generate", "x", "--model", model, "--steps", "1", "--output", `${model}.png`]);
  expect(drawn.code, drawn.stderr).toBe(0);
  expect(existsSync(join(model, ".kandinsky"))).toBe(true);
  const { code, stdout } = await runCli(["doctor", "--model", model, "--remove-packed"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^removed \d.* in \d+ file/);
  // Encoded prompts are no weights.
  expect(readdirSync(join(model, ".kandinsky"))).toEqual(["texts"]);
  await runCli(["doctor", "--model", model, "--remove-texts"]);
  expect(existsSync(join(model, ".kandinsky"))).toBe(false);
});

test("kandinsky inspect shows a model, a part and a file", async () => {
  const model = await runHere(["inspect", TINY, "--size", "128x64", "--size", "256x256"]);
  expect(model.code, model.stderr).toBe(0);
  for (const text of ["text_encoder", "unet", "movq", "down_blocks.0", "128x64", "256x256", "GFLOP"]) {
    expect(model.stdout).toContain(text);
  }
  const part = await runHere(["inspect", join(TINY, "unet")]);
  const file = await runHere(["inspect", join(TINY, "unet", "diffusion_pytorch_model.safetensors")]);
  for (const { code, stdout } of [part, file]) {
    expect(code).toBe(0);
    expect(stdout).toMatch(/conv_in\.weight +float32 +\[\d+,4,3,3\]/);
  }
});

test("kandinsky inspect refuses a size off the unit", async () => {
  const { code, stderr } = await runHere(["inspect", TINY, "--size", "100x64"]);
  expect(code).toBe(2);
  expect(stderr).toContain("the nearest are 64 and 128");
});
