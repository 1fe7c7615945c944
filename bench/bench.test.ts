import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { readSafetensorsHeader, readTensor } from "../src/checkpoint/mod.ts";
import { cast, float32 } from "../src/tensor/mod.ts";
import { type Found, GROUPS, perStepSeconds } from "./groups.ts";
import { differenceOf } from "./inputs.ts";
import { linesOf } from "./lines.ts";
import { median } from "./measure.ts";
import { visitOurs } from "./processes.ts";
import { smokeScale } from "./scale.ts";
import { NODES } from "./scaling/measure.ts";
import { writePart } from "./weights.ts";

const main = fileURLToPath(new URL("./main.js", import.meta.url));
const MINUTES = 60_000;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
  folders.push(folder);
  return folder;
}

/** Every number inside a value, with the way to it. */
function numbersIn(value: unknown, path = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null) return typeof value === "string" ? [] : [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => numbersIn(inner, `${path}/${key}`));
}

test("bench --smoke measures every group, says how much disk it takes and leaves nothing", {
  timeout: 5 * MINUTES,
}, () => {
  const folder = newFolder();
  const args = [main, "--smoke", "--json", "--folder", folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  expect(stderr).toMatch(/takes \d+\.\d GB of \d+\.\d GB free/);
  expect(readdirSync(folder)).toEqual([]);

  const scale = smokeScale();
  const { machine, threads, scale: name, seed, failures, ...found } = JSON.parse(stdout);
  expect(failures).toEqual([]);
  expect([typeof machine.processor, threads, name, typeof seed]).toEqual(["string", 2, "smoke", "number"]);
  const groups = Object.entries(GROUPS).filter(([, { onlyByName }]) => onlyByName !== true);
  expect(Object.keys(found)).toEqual(groups.map(([group]) => group));
  const bad = numbersIn(found).filter(([, x]) => typeof x !== "number" || !Number.isFinite(x) || x < 0);
  expect(bad).toEqual([]);

  const { peak, unet, movq, text, nano, scaling, films, train } = found as Required<Found>;
  expect(peak.rows.length).toBe(2 * scale.peak.length);
  expect(peak.flopsPerSecond).toBeGreaterThan(0);
  expect(unet.firstLoad.packedBytes).toBeGreaterThan(0);
  expect(unet.rows.map(({ ours }) => [ours.name, ours.seconds.length, ours.packedBytes])).toEqual(
    // What the first load packed serves every size and batch.
    scale.unet.map((one) => [one.name, one.repeats, 0]),
  );
  for (const { ours } of unet.rows) {
    expect(perStepSeconds(ours)).toBeGreaterThan(median(ours.seconds));
    expect(ours.prologueFlops + ours.executedFlops).toBeGreaterThan(0.9 * ours.referenceFlops);
  }
  expect(movq.rows.map(({ ours }) => ours.name)).toEqual(scale.movq.map((one) => one.name));
  expect(text.rows.map(({ ours }) => ours.seconds.length)).toEqual(scale.text.map((one) => one.repeats));
  expect(nano.rows.map(({ ours }) => ours.seconds.length)).toEqual(scale.nano.map((one) => one.repeats));
  expect(nano.cold.seconds.length).toBe(scale.coldRuns);
  expect(films.encode.length).toBe(2 * 4);
  expect(films.animations.map(({ name }) => name)).toContain("defaults");
  expect(scaling.step.seconds.length).toBe(scale.step.repeats);
  expect(train.rows.map(({ ours }) => ours.losses.length)).toEqual(scale.train.map((one) => one.repeats + 1));
  for (const { ours } of train.rows) expect(ours.peakBytes).toBeGreaterThan(1e8);
  // Without an MPI library it says what to install instead.
  if (scaling.allreduce === undefined) expect(scaling.absent).toContain("openmpi");
  else {
    expect(scaling.allreduce.samples.map(({ bytes }) => bytes)).toEqual(scale.sums.bytes);
    expect(scaling.together!.slowed.length).toBe(scale.step.repeats);
  }
  for (const { nodes } of scaling.expected) {
    expect(nodes.map((one) => one.nodes)).toEqual(NODES);
    expect(nodes[0]!.efficiency).toBeCloseTo(1, 9);
    for (const { efficiency, efficiencyAfter } of nodes) {
      expect(efficiency).toBeLessThan(1 + 1e-9);
      expect(efficiencyAfter).toBeLessThan(efficiency + 1e-9);
    }
  }

  const lines = linesOf(found);
  const names = [...scale.unet, ...scale.movq, ...scale.text, ...scale.nano, ...scale.train].map(
    (one) => one.name,
  );
  for (const name of names) expect(lines.join("\n")).toContain(name);
  expect(lines.filter((line) => /NaN|undefined|Infinity/.test(line))).toEqual([]);
});

test("bench scaling says what is missing where there is no mpirun", { timeout: 5 * MINUTES }, () => {
  const args = [main, "scaling", "--smoke", "--folder", newFolder()];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8", env: { PATH: "" } });
  expect(status).toBe(0);
  expect(stdout).toMatch(/no sums of two processes: spawn mpirun ENOENT; install Open MPI/);
  // An eighth: the pieces that the trainer sends.
  expect(stdout).toContain("0.257 MB of gradients in buckets of 32 kB");
});

test("bench full draws a picture with a whole model inside a memory limit, or says that there is none", {
  timeout: 3 * MINUTES,
}, () => {
  const folder = newFolder();
  const args = [main, "full", "--smoke", "--memory", "2G", "--steps", "3", "--json", "--folder", folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
  const { full } = JSON.parse(stdout) as Required<Found>;
  expect([full.limitBytes, full.stepSeconds.length]).toEqual([2 * 2 ** 30, 3]);
  expect(full.plan.stages.map(({ stage }) => stage)).toEqual(["encode", "prepare", "guided step", "decode"]);
  expect(full.stages.map(({ stage }) => stage)).toEqual(["load", "encode", "prepare", "denoise", "decode"]);
  expect(full.packedBytes).toBeGreaterThan(0);
  if (process.platform !== "linux") return;
  expect(full.privateBytes).toBeGreaterThan(50e6);
  expect(full.residentBytes.length).toBeGreaterThanOrEqual(2);
  if (typeof full.group === "string")
    expect(stderr).toContain(`no control group of ${full.limitBytes} bytes`);
  else if (full.group.maxBytes !== undefined)
    expect(full.group.maxBytes).toBeLessThanOrEqual(full.limitBytes);
  expect(linesOf({ full }).filter((line) => /NaN|undefined|Infinity/.test(line))).toEqual([]);
});

test("bench ends with 130 on Ctrl-C and leaves nothing", { timeout: 2 * MINUTES }, async () => {
  const folder = newFolder();
  const child = spawn(process.execPath, [main, "unet", "--smoke", "--folder", folder]);
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (text.includes("unet, round")) child.kill("SIGINT");
  });
  const code = await new Promise((done) => child.on("close", done));
  expect(code).toBe(130);
  expect(readdirSync(folder)).toEqual([]);
});

test("visitOurs rejects with what failed in its process", { timeout: MINUTES }, async () => {
  const folder = newFolder();
  const [inputs, outputs] = [join(folder, "none"), join(folder, "outputs")];
  const job = { kind: "movq" as const, model: folder, inputs, outputs, threads: 2, cases: smokeScale().movq };
  const visit = visitOurs(job, () => {}, new AbortController().signal);
  await expect(visit).rejects.toThrow("a measurement ended early: seen cannot");
});

test.each([
  [["unett"], "did you mean unet?"],
  [["--quick"], "usage:"],
  [["full", "--memory", "8"], '--memory: seen "8", wanted bytes with a unit'],
  [["full", "--steps", "0"], '--steps: seen "0"'],
  [["--smoke", "--python", "no-such-python"], "cannot use this Python: --python no-such-python: seen spawn"],
])("bench %s is a mistake of the user", (args, said) => {
  const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toContain(said);
});

test("writePart gives kernels a deviation of 1/sqrt(fan-in), and equal values each time", async () => {
  const [first, second] = [newFolder(), newFolder()];
  const values = async (root: string) => {
    await writePart(root, smokeScale(), "unet", () => {}, new AbortController().signal);
    const file = join(root, "unet", "diffusion_pytorch_model.safetensors");
    const { entries } = await readSafetensorsHeader(file);
    return cast(await readTensor(entries.get("conv_in.weight")!), "float32");
  };
  const weight = await values(first);
  expect(weight.shape).toEqual([16, 4, 3, 3]);
  const deviation = Math.sqrt(weight.data.reduce((sum, x) => sum + x * x, 0) / weight.data.length);
  expect(Math.abs(deviation * Math.sqrt(4 * 9) - 1)).toBeLessThan(0.1);
  expect((await values(second)).data).toEqual(weight.data);
});

test("differenceOf tells the largest difference, and values that are not finite", () => {
  const ours = float32([2], [3, 4]);
  expect(differenceOf(ours, float32([2], [3, 4.5]))).toEqual({ worst: 0.5, scale: Math.sqrt(12.5) });
  expect(differenceOf(ours, float32([2], [Number.NaN, 4])).worst).toBeNull();
  expect(differenceOf(ours, float32([1], [3])).worst).toBeNull();
});

test("median is the middle, or between the middle two", () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
});
