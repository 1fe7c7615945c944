import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPart, readTensorAsFloat32 } from "../checkpoint/mod.ts";
import { classifierParameters, parseClassifierConfig } from "../models/mod.ts";
import { Kandinsky3, openModel } from "../pipelines/mod.ts";
import { ALL_LANGUAGES, readSubjects } from "../scenes/mod.ts";
import { appendRecord, readRecords } from "./log.node.ts";
import { type RunConfig, type RunEvent, runTraining } from "./mod.ts";
import {
  tinyAutoencoderRun,
  tinyClassifierRun,
  tinyRun,
  tinyTextRun,
  writeIcons,
  writePictures,
  writeTinyModel,
} from "./test-support.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kandinsky-runs-"));
  await writePictures(join(root, "pictures"));
  await writeTinyModel(join(root, "model"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Every run starts two or three engines. */
const SLOW = { timeout: 240_000 };

async function runAll(
  config: RunConfig,
  folder: string,
  resume: boolean,
  stopAfter = Infinity,
): Promise<RunEvent[]> {
  const stop = new AbortController();
  const events: RunEvent[] = [];
  for await (const event of runTraining(config, { folder, resume, threads: 1, signal: stop.signal })) {
    events.push(event);
    if (event.type === "step" && event.record.update >= stopAfter) stop.abort();
  }
  return events;
}

async function stateOf(folder: string): Promise<string> {
  const last = (await readdir(join(folder, "checkpoints"))).sort().at(-1)!;
  const { update, sha256 } = JSON.parse(
    await readFile(join(folder, "checkpoints", last, "checkpoint.json"), "utf8"),
  );
  return `${update} ${sha256}`;
}

test("runTraining goes on bit for bit from any update, across a stage border too", SLOW, async () => {
  const config = tinyRun(root);
  const whole = join(root, "whole");
  await runAll(config, whole, false);
  for (const stopAfter of [2, 3]) {
    const folder = join(root, `stopped-${stopAfter}`);
    const first = await runAll(config, folder, false, stopAfter);
    expect(first.at(-1)).toEqual({ type: "ended", update: stopAfter, updates: 6 });
    const second = await runAll(config, folder, true);
    expect(second[0]).toEqual({ type: "resumed", update: stopAfter, damaged: [] });
    expect(await stateOf(folder)).toBe(await stateOf(whole));
    const losses = async (of: string) => (await readRecords(of)).map(({ update, loss }) => [update, loss]);
    expect(await losses(folder)).toEqual(await losses(whole));
  }
});

test(
  "runTraining leaves a model that draws, a page with curves, and a log with every update",
  SLOW,
  async () => {
    const sheets = { every: 100, prompts: ["a cat", "собака"], steps: 1 };
    const folder = join(root, "drawn");
    const data = { kind: "files", paths: [join(root, "pictures")], apart: 0.2 };
    const events = await runAll(tinyRun(root, { sheets, data }), folder, false);
    const measured = (await readRecords(folder)).flatMap(({ measured: one }) =>
      one === undefined ? [] : [one],
    );
    expect(measured.length).toBeGreaterThan(1);
    for (const one of measured) expect(one["loss"]).toBeGreaterThan(0);
    expect(events.filter(({ type }) => type === "sheet").length).toBe(2);
    expect((await readRecords(folder)).map(({ update }) => update)).toEqual([1, 2, 3, 4, 5, 6]);
    const page = await readFile(join(folder, "index.html"), "utf8");
    expect(page.match(/<polyline/g)!.length).toBeGreaterThan(3);
    expect(page.match(/<img/g)!.length).toBe(2);
    await using model = await Kandinsky3.load({ model: join(folder, "model"), threads: 1 });
    const request = { prompt: "a cat", width: 128, height: 64, steps: 1, guidance: 0, seed: 0 };
    const types: string[] = [];
    for await (const event of model.generate(request)) types.push(event.type);
    expect(types).toContain("picture");
  },
);

test(
  "runTraining of a text encoder goes on bit for bit, asks every language, and leaves a model that draws",
  SLOW,
  async () => {
    const config = tinyTextRun(root);
    const [whole, stopped] = [join(root, "text"), join(root, "text-stopped")];
    await runAll(config, whole, false);
    await runAll(config, stopped, false, 3);
    await runAll(config, stopped, true);
    expect(await stateOf(stopped)).toBe(await stateOf(whole));
    const { measured = {} } = (await readRecords(whole)).at(-1)!;
    expect(Object.keys(measured)).toEqual(expect.arrayContaining(["subject", ...ALL_LANGUAGES]));
    const { part } = (await openModel(join(whole, "model"))).text;
    const before = (await openModel(join(root, "model"))).text.part;
    expect([...part.entries.keys()].sort()).toEqual([...before.entries.keys()].sort());
    const table = await readTensorAsFloat32(part.entries.get("shared.weight")!);
    expect(table.data).not.toEqual((await readTensorAsFloat32(before.entries.get("shared.weight")!)).data);
    await using model = await Kandinsky3.load({ model: join(whole, "model"), threads: 1 });
    const request = { prompt: "кот", width: 64, height: 64, steps: 1, guidance: 0, seed: 0 };
    const types: string[] = [];
    for await (const event of model.generate(request)) types.push(event.type);
    expect(types).toContain("picture");
  },
);

test(
  "runTraining of an autoencoder goes on bit for bit, measures PSNR, and leaves a model that draws",
  SLOW,
  async () => {
    const config = tinyAutoencoderRun(root);
    const [whole, stopped] = [join(root, "movq"), join(root, "movq-stopped")];
    await runAll(config, whole, false);
    await runAll(config, stopped, false, 2);
    await runAll(config, stopped, true);
    expect(await stateOf(stopped)).toBe(await stateOf(whole));
    const { measured = {} } = (await readRecords(whole)).at(-1)!;
    expect(measured["PSNR, dB"]).toBeGreaterThan(3);
    await using model = await Kandinsky3.load({ model: join(whole, "model"), threads: 1 });
    const request = { prompt: "a cat", width: 64, height: 64, steps: 1, guidance: 0, seed: 0 };
    const types: string[] = [];
    for await (const event of model.generate(request)) types.push(event.type);
    expect(types).toContain("picture");
  },
);

test(
  "runTraining of a classifier goes on bit for bit, and leaves a network with its own figures",
  SLOW,
  async () => {
    const subjects = await readSubjects();
    const shown = [
      ...subjects.filter(({ heldOut }) => !heldOut).slice(0, 5),
      ...subjects.filter(({ heldOut }) => heldOut).slice(0, 1),
    ];
    await writeIcons(
      join(root, "icons"),
      shown.map(({ code }) => code),
    );
    const config = tinyClassifierRun(
      root,
      shown.map(({ code }) => code),
    );
    const [whole, stopped] = [join(root, "classifier"), join(root, "classifier-stopped")];
    await runAll(config, whole, false);
    await runAll(config, stopped, false, 2);
    await runAll(config, stopped, true);
    expect(await stateOf(stopped)).toBe(await stateOf(whole));
    const part = await openPart(join(whole, "model"));
    const read = parseClassifierConfig(part.config, part.configFile);
    expect(read.classes).toEqual(shown.filter(({ heldOut }) => !heldOut).map(({ code }) => code));
    expect(read.measured).toEqual((await readRecords(whole)).at(-1)!.measured);
    expect(Object.keys(read.measured)).toContain("never taught, first of 100");
    const wanted = classifierParameters(read).map(({ name, shape }) => `${name} ${shape}`);
    const written = [...part.tensors.values()].map(({ name, shape }) => `${name} ${shape}`);
    expect(written.sort()).toEqual(wanted.sort());
  },
);

test(
  "runTraining refuses a folder with a run, and a checkpoint of another config by the first difference",
  SLOW,
  async () => {
    const folder = join(root, "mixed");
    const config = tinyRun(root);
    await runAll(config, folder, false, 1);
    await expect(runAll(config, folder, false)).rejects.toThrow(/holds a training run.*--resume/s);
    const other = tinyRun(root, { dropout: 0.5 });
    await expect(runAll(other, folder, true)).rejects.toThrow(
      /another config.*dropout.*seen 0.1, wanted 0.5/s,
    );
  },
);

test("runTraining refuses a size that the model cannot draw, before the first update", async () => {
  const stages = [
    { name: "odd", sizes: [{ width: 72, height: 64 }], batch: 2, samples: 4, learningRate: 1e-3 },
  ];
  const run = runAll(tinyRun(root, { stages }), join(root, "odd"), false);
  await expect(run).rejects.toThrow(/no such bucket.*72x64.*multiples/s);
});

test("appendRecord tells of a full disk and what to do", async () => {
  const folder = join(root, "full");
  await mkdir(folder);
  // Writing there fails as on a full disk; only Linux has it.
  if (!existsSync("/dev/full")) return;
  await symlink("/dev/full", join(folder, "log.jsonl"));
  const [record] = await readRecords(join(root, "whole"));
  await expect(appendRecord(folder, record!)).rejects.toMatchObject({
    code: "disk_full",
    parts: { seen: "ENOSPC", hint: expect.stringContaining("--resume") },
  });
});

test("a model trained on scenes comes with the list of what it can draw", SLOW, async () => {
  const subjects = await readSubjects();
  const [known, other, apart] = [subjects[0]!, subjects[1]!, subjects.find(({ heldOut }) => heldOut)!];
  const codes = [known, other, apart].map(({ code }) => code);
  const folder = join(root, "scene-icons");
  await writeIcons(folder, codes);
  const kinds = { single: 0, relation: 1, count: 0, grid: 0 };
  const data = { kind: "scenes", folder, subjects: codes, kinds, styles: { noto: 1 } };
  const [stage] = tinyRun(root).stages;
  const run = join(root, "scenes");
  await runAll(tinyRun(root, { data, stages: [{ ...stage, samples: 2 }] }), run, false);
  const list = JSON.parse(await readFile(join(run, "model", "subjects.json"), "utf8"));
  expect(list.map(({ code }: { code: string }) => code)).toEqual([known.code, other.code]);
  expect(list[0].labels.ru).toBe(known.labels.ru);
});
