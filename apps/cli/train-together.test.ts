import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startCli, TINY, temporaryFolder } from "./test-support.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "main.js");
const hasMpirun =
  spawnSync("mpirun", ["--version"], { encoding: "utf8" }).stdout?.includes("Open MPI") === true;
if (!hasMpirun)
  test.skip("train: skipped, there is no mpirun here (Debian: apt install openmpi-bin)", () => {});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the command line on two processes; `onOutput` sees all that was said so far. */
function startTogether(args: readonly string[], onOutput: (said: string, launcher: ChildProcess) => void) {
  const options = ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2"];
  const launcher = spawn("mpirun", [...options, process.execPath, MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  launcher.stdout.on("data", (text) => {
    stdout += text;
    onOutput(stdout, launcher);
  });
  launcher.stderr.on("data", (text) => {
    stderr += text;
  });
  return new Promise<Ended>((resolve) => {
    launcher.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** Processes that a process started, and those that these started, oldest first. */
function descendants(pid: number): number[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" });
  const rows = stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const own = rows.filter(([, parent]) => parent === pid).map(([child]) => child!);
  return [...own, ...own.flatMap(descendants)];
}

async function survivors(pids: readonly number[]): Promise<readonly number[]> {
  let left = pids;
  for (let attempt = 0; attempt < 300 && left.length > 0; attempt++) {
    await setTimeout(100);
    left = left.filter((pid) =>
      spawnSync("ps", ["-o", "stat=", "-p", `${pid}`])
        .stdout.toString()
        .match(/^[^Z]/),
    );
  }
  return left;
}

function writeRun(folder: string): string {
  mkdirSync(join(folder, "pictures"));
  for (let i = 0; i < 4; i++) {
    const picture = readFileSync(join(TINY, `../pipelines/input.${i % 2}.png`));
    writeFileSync(join(folder, "pictures", `${i}.png`), picture);
  }
  const config = {
    kind: "diffusion",
    model: TINY,
    start: "model",
    data: { kind: "files", paths: ["pictures"], captions: "empty" },
    tokens: 8,
    stages: [{ name: "only", sizes: [{ width: 64, height: 64 }], batch: 2, samples: 12, learningRate: 1e-4 }],
    halfLives: [10],
    checkpoints: { every: 2 },
  };
  const file = join(folder, "small.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const events = (stdout: string) =>
  stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

test.runIf(hasMpirun)(
  "train: two processes, one of them killed, go on; Ctrl-C ends them; one process goes on to the end",
  { timeout: 600_000 },
  async () => {
    const folder = temporaryFolder();
    const out = join(folder, "run");
    const args = ["train", writeRun(folder), "--out", out, "--threads", "1", "--json"];

    let all: number[] = [];
    const killed = await startTogether(args, (said, { pid }) => {
      if (all.length > 0 || !said.includes('"type":"checkpoint"')) return;
      all = descendants(pid!);
      // Each process has an engine: the second process is the launcher's second child.
      process.kill(all[1]!, "SIGKILL");
    });
    expect(killed.code, killed.stderr).not.toBe(0);
    expect(all.length).toBe(4);
    expect(await survivors(all)).toEqual([]);
    // Only the first process tells and writes.
    const steps = events(killed.stdout).filter(({ type }) => type === "step");
    expect(steps.map(({ record }) => record.update)).toEqual(steps.map((_, i) => i + 1));
    const saved = events(killed.stdout).filter(({ type }) => type === "checkpoint").length;

    let isAsked = false;
    const stopped = await startTogether([...args, "--resume"], (said, launcher) => {
      if (isAsked || !said.includes('"type":"step"')) return;
      isAsked = true;
      launcher.kill("SIGINT");
    });
    expect(stopped.code, stopped.stderr).not.toBe(0);
    const [resumed] = events(stopped.stdout);
    expect([resumed.type, resumed.damaged]).toEqual(["resumed", []]);
    expect(resumed.update).toBeGreaterThanOrEqual(saved);

    const { code, stdout } = await startCli([...args, "--resume"]).outcome;
    const [again] = events(stdout);
    expect([code, again.type, again.damaged]).toEqual([0, "resumed", []]);
    expect(again.update).toBeGreaterThanOrEqual(resumed.update);
    expect(events(stdout).at(-1)).toEqual({ type: "ended", update: 6, updates: 6 });
    const lines = readFileSync(join(out, "log.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).update)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(readdirSync(out)).toContain("model");
  },
);
