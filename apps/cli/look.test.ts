import { existsSync } from "node:fs";
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

test("kandinsky doctor --remove-packed deletes prepared weights", async () => {
  const model = copyOfTiny(temporaryFolder());
  const drawn = await runCli(["generate", "x", "--model", model, "--steps", "1", "--output", `${model}.png`]);
  expect(drawn.code, drawn.stderr).toBe(0);
  expect(existsSync(join(model, ".kandinsky"))).toBe(true);
  const { code, stdout } = await runCli(["doctor", "--model", model, "--remove-packed"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^removed \d.* in \d+ file/);
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
