import { spawn, spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), "ranks.test-support.js");
const MINUTE = 60_000;

interface Launcher {
  readonly name: string;
  readonly command: string;
  readonly options: readonly string[];
  /** Numbers of processes; MPICH's wait at full speed and get slow where they share cores. */
  readonly sizes: readonly number[];
}

/** One launcher of each MPI that is installed; Open MPI needs to be told that tests run anywhere. */
const LAUNCHERS = ["mpirun", "mpirun.mpich"].flatMap((command): Launcher[] => {
  const { stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
  const first = stdout?.split("\n")[0] ?? "";
  if (first.includes("Open MPI")) {
    return [
      { name: "Open MPI", command, options: ["--allow-run-as-root", "--oversubscribe"], sizes: [1, 2, 3, 4] },
    ];
  }
  return first.includes("HYDRA") ? [{ name: "MPICH", command, options: [], sizes: [1, 2, 3] }] : [];
});

if (LAUNCHERS.length === 0) {
  test.skip("openMpi: skipped, there is no mpirun here (Debian: apt install openmpi-bin)", () => {});
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

function launch({ command, options }: Launcher, size: number, scenario: string): Promise<Ended> {
  const start = performance.now();
  const args = [...options, "-n", String(size), process.execPath, PROGRAM, scenario];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ code, stdout, stderr, seconds: (performance.now() - start) / 1000 }),
    );
  });
}

/** Those of the processes that are still there after a while: the launcher ends before the last of them is gone. */
async function survivors(pids: readonly number[]): Promise<readonly number[]> {
  let left = pids;
  for (let attempt = 0; attempt < 100 && left.length > 0; attempt++) {
    await setTimeout(100);
    left = left.filter((pid) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    });
  }
  return left;
}

/** What each process told, by rank. */
async function toldBy(
  launcher: Launcher,
  size: number,
  scenario: string,
): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await launch(launcher, size, scenario);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told.map(({ rank }) => rank).sort()).toEqual(Array.from({ length: size }, (_, i) => i));
  return told.sort((a, b) => Number(a["rank"]) - Number(b["rank"]));
}

describe.each(LAUNCHERS)("with $name", { timeout: 2 * MINUTE }, (launcher) => {
  test.each(launcher.sizes)(
    "openMpi: %i processes sum, broadcast and wait; equal bits everywhere and again",
    async (size) => {
      const told = await toldBy(launcher, size, "sums");
      const again = await toldBy(launcher, size, "sums");
      const { rank: _, ...first } = told[0]!;
      for (const { rank, ...rest } of [...told, ...again]) expect(rest, `rank ${rank}`).toEqual(first);
      expect(first).toMatchObject({ size, isTold: true, bytes: [0, 1, 2] });
      // Half a unit in the last place for each addition.
      expect(first["worst"]).toBeLessThan(size * 2 ** -24);
      // The values around those that were summed stay 5.
      expect((first["checksums"] as number[]).filter((_, i) => i % 2 === 1)).toEqual(new Array(6).fill(10));
      expect(String(first["library"])).toContain(launcher.name);
    },
  );

  test("openMpi: a sum leaves the process free to work meanwhile", async () => {
    const [first] = await toldBy(launcher, 2, "overlap");
    // Half a second of 5 ms naps; much less would be a process that is held up.
    expect(first!["ticks"]).toBeGreaterThan(20);
  });

  test.each(["killed", "throws", "leaves", "aborts"])(
    "openMpi: when the last of three processes %s, the job ends with an error",
    async (scenario) => {
      const { code, stdout, stderr, seconds } = await launch(launcher, 3, scenario);
      expect(code, stderr).not.toBe(0);
      expect(seconds).toBeLessThan(30);
      expect(stdout + stderr).not.toBe("");
      const pids = [...stdout.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
      expect(pids.length).toBe(3);
      expect(await survivors(pids)).toEqual([]);
      if (scenario === "throws") expect(stderr).toContain("a mistake of the last process");
      if (scenario === "aborts") expect(code).toBe(7);
    },
  );
});
