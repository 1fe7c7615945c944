import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { copyOfTiny, type Outcome, runCli, startCli, TINY, temporaryFolder } from "./test-support.ts";

/** Runs until that many steps are told, then sends the signal; also how long the end took. */
async function stoppedAfter(
  steps: number,
  args: readonly string[],
  signal: NodeJS.Signals,
  cwd: string,
): Promise<Outcome & { milliseconds: number }> {
  let told = "";
  let sentAt = 0;
  const { outcome, kill } = startCli([...args, "--json"], {
    cwd,
    onOutput: (text) => {
      told += text;
      if (sentAt > 0 || told.split('"type":"step"').length <= steps) return;
      sentAt = performance.now();
      kill(signal);
    },
  });
  const result = await outcome;
  return { ...result, milliseconds: performance.now() - sentAt };
}

const WORDS = ["generate", "a cat", "--model", TINY, "--seed", "3", "--steps", "30"];

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s ends kandinsky generate within a second, and --resume goes on to equal bytes",
  async (signal) => {
    const cwd = temporaryFolder();
    const stopped = await stoppedAfter(4, [...WORDS, "--output", "a.png"], signal, cwd);
    expect(stopped.code, stopped.stderr).toBe(130);
    expect(stopped.milliseconds).toBeLessThan(1000);
    expect(readdirSync(cwd)).toEqual(["kandinsky-resume-0001.json"]);
    expect(stopped.stderr).toContain("kandinsky generate --resume kandinsky-resume-0001.json");
    expect(stopped.stdout).toContain('{"type":"cancelled","resume":"kandinsky-resume-0001.json"}');

    const resume = ["generate", "--resume", "kandinsky-resume-0001.json"];
    const again = await stoppedAfter(4, resume, signal, cwd);
    expect(again.code, again.stderr).toBe(130);
    expect(readdirSync(cwd)).toEqual(["kandinsky-resume-0001.json"]);

    const done = await runCli(resume, { cwd });
    expect(done.code, done.stderr).toBe(0);
    expect(readdirSync(cwd)).toEqual(["a.png"]);
    await runCli([...WORDS, "--output", "whole.png"], { cwd });
    expect(readFileSync(join(cwd, "a.png")).equals(readFileSync(join(cwd, "whole.png")))).toBe(true);
  },
);

test("kandinsky generate --resume keeps the pictures that are done and draws the others as a whole run would", async () => {
  const cwd = temporaryFolder();
  // So large that each picture is drawn alone.
  const words = [...WORDS.slice(0, -1), "3", "--size", "512x512", "--count", "3", "--sheet"];
  const stopped = await stoppedAfter(5, [...words, "--output", "a-{index}.png"], "SIGINT", cwd);
  expect(stopped.code, stopped.stderr).toBe(130);
  const kept = readdirSync(cwd).filter((name) => name.endsWith(".png"));
  expect(kept).toEqual(["a-1.png"]);
  const { mtimeMs } = statSync(join(cwd, "a-1.png"));
  const done = await runCli(["generate", "--resume", "kandinsky-resume-0001.json"], { cwd });
  expect(done.code, done.stderr).toBe(0);
  expect(done.stderr).toContain("1 of 3 pictures are done");
  expect(statSync(join(cwd, "a-1.png")).mtimeMs).toBe(mtimeMs);
  await runCli([...words, "--output", "b-{index}.png"], { cwd });
  for (const name of ["1", "2", "3", "sheet-0001"]) {
    const [resumed, whole] = ["a", "b"].map((letter) => readFileSync(join(cwd, `${letter}-${name}.png`)));
    expect(resumed!.equals(whole!), name).toBe(true);
  }
});

test("SIGINT before the first step leaves nothing behind", async () => {
  const cwd = temporaryFolder();
  let sentAt = 0;
  const { outcome, kill } = startCli([...WORDS, "--json"], {
    cwd,
    onOutput: (text) => {
      if (sentAt > 0 || !text.includes('"stage"')) return;
      sentAt = performance.now();
      kill("SIGINT");
    },
  });
  const { code, stderr } = await outcome;
  expect(code).toBe(130);
  expect(performance.now() - sentAt).toBeLessThan(1000);
  expect(stderr).toContain("stopped before the first step");
  expect(readdirSync(cwd)).toEqual([]);
});

test.each([
  ["to keep", []],
  ["for once", ["--no-cache"]],
])("SIGINT while weights are prepared %s leaves no unfinished file", async (_, more) => {
  const cwd = temporaryFolder();
  const model = copyOfTiny(cwd);
  let told = "";
  let sent = false;
  const { outcome, kill } = startCli(["generate", "x", "--model", model, "--json", ...more], {
    cwd,
    onOutput: (text) => {
      told += text;
      if (sent || !told.includes('"type":"pack"')) return;
      sent = true;
      kill("SIGINT");
    },
  });
  const { code, stderr } = await outcome;
  expect([sent, code], stderr).toEqual([true, 130]);
  const packed = join(model, ".kandinsky");
  // Folders are there for good: prepared weights and known texts lie in them.
  const left = existsSync(packed) ? readdirSync(packed, { recursive: true, withFileTypes: true }) : [];
  const unfinished = left.filter((entry) => entry.isFile() && !entry.name.endsWith(".safetensors"));
  expect(unfinished.map(({ name }) => name)).toEqual([]);
  expect(readdirSync(cwd)).toEqual(["model"]);
});

// Only Linux tells a process's children without another program.
test.skipIf(process.platform !== "linux")(
  "kandinsky generate goes on after its engine was killed",
  async () => {
    const cwd = temporaryFolder();
    let told = "";
    let killed = false;
    const words = [...WORDS, "--output", "a.png", "--json"];
    const { outcome, pid } = startCli(words, {
      cwd,
      onOutput: (text) => {
        told += text;
        if (killed || told.split('"type":"step"').length <= 3) return;
        killed = true;
        const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
        for (const child of children) process.kill(Number(child), "SIGKILL");
      },
    });
    const { code, stderr } = await outcome;
    expect(code, stderr).toBe(3);
    expect(stderr).toContain("kandinsky generate --resume kandinsky-resume-0001.json");
    expect((await runCli(["generate", "--resume", "kandinsky-resume-0001.json"], { cwd })).code).toBe(0);
    expect(readdirSync(cwd)).toEqual(["a.png"]);
  },
);
