import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSafetensorsHeader, readTensor } from "../checkpoint/mod.ts";
import type { StepsFound, StepsJob } from "./peers.test-support.ts";

const PROGRAM = fileURLToPath(new URL("./peers.test-support.js", import.meta.url));
const hasMpirun =
  spawnSync("mpirun", ["--version"], { encoding: "utf8" }).stdout?.includes("Open MPI") === true;
if (!hasMpirun)
  test.skip("Trainer.step: skipped, there is no mpirun here (Debian: apt install openmpi-bin)", () => {});

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kandinsky-peers-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** On a busy machine processes that wait for each other take long. */
const SLOW = { timeout: 600_000 };

/** What the first of so many processes found; one that works alone needs no launcher. */
async function launch(size: number, job: StepsJob): Promise<StepsFound> {
  const own = [process.execPath, PROGRAM, JSON.stringify(job)];
  const [command, ...args] =
    size === 1
      ? own
      : ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", `${size}`, ...own];
  const child = spawn(command!, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as StepsFound;
}

async function valuesOf(file: string): Promise<Map<string, Float32Array>> {
  const { entries } = await readSafetensorsHeader(file);
  const values = new Map<string, Float32Array>();
  for (const [name, entry] of entries) values.set(name, (await readTensor(entry)).data as Float32Array);
  return values;
}

/** The norm of the difference over the norm, of all values together. */
function relative(seen: readonly Float32Array[], wanted: readonly Float32Array[]): number {
  let [difference, size] = [0, 0];
  for (const [t, values] of wanted.entries()) {
    for (const [i, value] of values.entries()) {
      difference += (seen[t]![i]! - value) ** 2;
      size += value ** 2;
    }
  }
  return Math.sqrt(difference / size);
}

test.runIf(hasMpirun)(
  "Trainer.step on 2 and 4 processes that share every batch makes the steps of one: 20 of AdamW, 20 of SGD",
  SLOW,
  async () => {
    const job = { steps: 20, optimizers: ["adamw", "sgd"] } as const;
    const wanted = await launch(1, { ...job, alone: true, parts: 1, out: join(root, "1") });
    for (const [size, parts] of [
      [2, 2],
      [4, 1],
    ] as const) {
      const out = join(root, `${size}`);
      const seen = await launch(size, { ...job, alone: false, parts, out });
      for (const name of job.optimizers) {
        const losses = wanted[name]!.map((loss, i) => Math.abs(loss - seen[name]![i]!));
        expect(Math.max(...losses), `losses of ${name}, ${size} processes`).toBeLessThan(1e-5);
        // It moved at all.
        expect(Math.abs(wanted[name]![0]! - wanted[name]!.at(-1)!)).toBeGreaterThan(1e-3);
        const [one, many] = [
          await valuesOf(join(root, `1-${name}.safetensors`)),
          await valuesOf(`${out}-${name}.safetensors`),
        ];
        const whole = relative([...many.values()], [...one.values()]);
        expect(whole, `parameters of ${name}, ${size} processes`).toBeLessThanOrEqual(2e-5);
        const worst = Math.max(
          ...[...one].map(([tensor, values]) => relative([many.get(tensor)!], [values])),
        );
        if (name === "sgd") expect(worst, `worst tensor, ${size} processes`).toBeLessThan(1e-5);
        if (process.env["KANDINSKY_TEST_TELL"]) console.log(size, name, Math.max(...losses), whole, worst);
      }
    }
  },
);
