import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runHere, startCli, TINY, temporaryFolder } from "./test-support.ts";

function writeConfig(folder: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const config = {
    kind: "diffusion",
    model: TINY,
    start: "model",
    data: { kind: "files", paths: ["pictures"], captions: "empty" },
    tokens: 8,
    stages: [{ name: "only", sizes: [{ width: 128, height: 64 }], batch: 1, samples: 3, learningRate: 1e-4 }],
    halfLives: [10],
    checkpoints: { every: 1 },
    ...changes,
  };
  const file = join(folder, "small.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}

test("train: --dry tells the stages in both languages and writes nothing", async () => {
  const folder = temporaryFolder();
  const file = writeConfig(folder);
  const { code, stdout } = await runHere(["train", file, "--dry"]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^stage only: 128x64 px, 3 samples.*3 updates/)]);
  expect((await runHere(["train", file, "--dry", "--lang", "ru"])).stdout).toContain("этап only");
  expect(readdirSync(folder)).toEqual(["small.json"]);
});

test("train: mistakes of a config are told with their place, without a trace", async () => {
  const folder = temporaryFolder();
  const none = await runHere(["train", join(folder, "none.json")]);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("none.json")]);
  const wrong = await runHere(["train", writeConfig(folder, { dropout: 2 }), "--dry"]);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("dropout")]);
  const unknown = await runHere(["train", writeConfig(folder, { droput: 0.1 }), "--dry"]);
  expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("droput")]);
  const empty = await runHere(["train", writeConfig(folder), "--out", join(folder, "run")]);
  expect([empty.code, empty.stderr]).toEqual([2, expect.stringContaining("pictures")]);
  for (const { stderr } of [none, wrong, unknown, empty]) expect(stderr).not.toMatch(/^\s+at /m);
});

test("train: Ctrl-C saves, --resume ends the run", { timeout: 240_000 }, async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "pictures"));
  for (let i = 0; i < 3; i++) {
    const picture = readFileSync(join(TINY, `../pipelines/input.${i % 2}.png`));
    writeFileSync(join(folder, "pictures", `${i}.png`), picture);
  }
  const args = ["train", writeConfig(folder), "--out", join(folder, "run"), "--threads", "1", "--json"];
  let isStopped = false;
  const first = startCli(args, {
    onOutput: (text) => {
      // Once: a second one ends it at once.
      if (isStopped || !text.includes('"type":"step"')) return;
      isStopped = true;
      first.kill("SIGINT");
    },
  });
  const stopped = await first.outcome;
  expect([stopped.code, stopped.stderr]).toEqual([130, expect.stringContaining("saving")]);
  const last = JSON.parse(stopped.stdout.trim().split("\n").at(-1)!);
  expect(last.update).toBeLessThan(3);
  const { code, stdout } = await startCli([...args, "--resume"]).outcome;
  expect(code).toBe(0);
  expect(stdout).toContain(`{"type":"resumed","update":${last.update},"damaged":[]}`);
  expect(readdirSync(join(folder, "run")).sort()).toEqual(
    expect.arrayContaining(["checkpoints", "index.html", "log.jsonl", "model"]),
  );
});
