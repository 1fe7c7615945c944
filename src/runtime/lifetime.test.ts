import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { float32 } from "../tensor/mod.ts";
import { deathError } from "./connection.ts";
import { startEngine } from "./mod.ts";
import { arithmetic, failure, longRun, values } from "./test-support.ts";

const MIB = 2 ** 20;
const LONG_FEED = { v0: float32([1024, 1024], new Float32Array(MIB)) };

/** Whether a process runs; one that ended and waits for the system to collect it does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("startEngine's signal ends a long run in less than 200 ms, and the process with it", async () => {
  const abort = new AbortController();
  const engine = await startEngine({ device: "cpu", threads: 1, signal: abort.signal });
  const pid = engine.pid;
  const program = await engine.load(longRun());
  const run = program.run(LONG_FEED, { v3000: "hold" });
  const other = engine.load(arithmetic([1]));
  setTimeout(() => abort.abort(), 300);
  const start = performance.now();
  const [first, second] = await Promise.all([failure(run), failure(other)]);
  expect(first).toMatchObject({ code: "cancelled" });
  expect(second).toMatchObject({ code: "cancelled" });
  expect(first.ms - 300, "ms from the signal to the rejection").toBeLessThan(200);
  await engine[Symbol.asyncDispose]();
  expect(performance.now() - start - 300, "ms from the signal to the end of the process").toBeLessThan(1000);
  expect(isAlive(pid)).toBe(false);
  expect(await failure(engine.memory())).toMatchObject({ code: "cancelled" });
});

test("startEngine does not start for a signal that is already aborted", async () => {
  const seen = await failure(startEngine({ device: "cpu", signal: AbortSignal.abort() }));
  expect(seen).toMatchObject({ code: "cancelled" });
});

test("startEngine stops starting when its signal is aborted meanwhile", async () => {
  const seen = await failure(startEngine({ device: "cpu", signal: AbortSignal.timeout(10) }));
  expect(seen).toMatchObject({ code: "cancelled" });
  expect(seen.ms).toBeLessThan(1000);
});

test("startEngine refuses a thread count that is none", async () => {
  const seen = await failure(startEngine({ device: "cpu", threads: 0.5 }));
  expect(seen).toMatchObject({ code: "option_invalid" });
});

test("Engine.memory answers during a run, and Engine.kill ends it", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(longRun());
  const run = failure(program.run(LONG_FEED, { v3000: "hold" }));
  await pause(200);
  if (process.platform === "linux") expect((await engine.memory()).privateBytes / MIB).toBeGreaterThan(10);
  engine.kill();
  expect(await run).toMatchObject({ code: "cancelled" });
  expect(await failure(program.release())).toMatchObject({ code: "cancelled" });
});

test.skipIf(process.platform === "win32")(
  "Engine ignores Ctrl-C and reports the death of its process",
  async () => {
    await using engine = await startEngine({ device: "cpu", threads: 1 });
    const program = await engine.load(arithmetic([1]));
    process.kill(engine.pid, "SIGINT");
    await pause(50);
    expect(values((await program.run({ x: float32([1], [3]) }, { z: "return" })).z)).toEqual([9]);
    const long = await engine.load(longRun());
    const run = failure(long.run(LONG_FEED, { v3000: "hold" }));
    await pause(100);
    process.kill(engine.pid, "SIGKILL");
    const seen = await run;
    expect(seen.code).toBe("engine_died");
    expect(seen.message).toContain("signal SIGKILL");
    expect(seen.message).toContain("memory ran out");
    expect(await failure(engine.load(arithmetic([1])))).toMatchObject({ code: "engine_died" });
  },
);

test("deathError says what probably happened", () => {
  const text = (...args: Parameters<typeof deathError>) => deathError(...args).message;
  expect(text(null, "SIGBUS", "")).toContain("weights file");
  expect(text(null, "SIGILL", "")).toContain("processor");
  expect(text(null, "SIGABRT", "what():  std::bad_alloc\n")).toContain("memory ran out");
  expect(text(3, null, "first\nlast words\n")).toContain("exit code 3 (last words)");
  expect(deathError(null, "SIGINT", "").code).toBe("cancelled");
});

/** A parent of its own that starts an engine, prints its process id and goes on as `then` says. */
async function engineOfParent(then: string): Promise<{ pid: number; parent: ReturnType<typeof spawn> }> {
  const from = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    import { startEngine } from ${from("./mod.js")};
    import { longRun } from ${from("./test-support.js")};
    const engine = await startEngine({ device: "cpu", threads: 1 });
    const program = await engine.load(longRun());
    const feeds = { v0: { dtype: "float32", shape: [1024, 1024], data: new Float32Array(2 ** 20) } };
    console.log(engine.pid);
    ${then}`;
  const args = ["--input-type=module", "-e", script];
  const parent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (text) => resolve(+text)));
  return { pid, parent };
}

async function msUntilGone(pid: number): Promise<number> {
  const start = performance.now();
  while (isAlive(pid) && performance.now() - start < 5000) await pause(50);
  return performance.now() - start;
}

test("startEngine's process ends within a run when its parent is killed", async () => {
  const { pid, parent } = await engineOfParent(`await program.run(feeds, { v3000: "hold" });`);
  await pause(300);
  parent.kill("SIGKILL");
  expect(await msUntilGone(pid)).toBeLessThan(2000);
});

test("startEngine's process ends when its parent exits within a run", async () => {
  const then = `program.run(feeds, { v3000: "hold" }); setTimeout(() => process.exit(), 300);`;
  const { pid, parent } = await engineOfParent(then);
  await new Promise((resolve) => parent.once("exit", resolve));
  expect(await msUntilGone(pid)).toBeLessThan(2000);
});

test("startEngine's idle process does not keep a parent alive that forgot it", async () => {
  const { pid, parent } = await engineOfParent("");
  const code = await new Promise((resolve) => parent.once("exit", resolve));
  expect(code).toBe(0);
  expect(await msUntilGone(pid)).toBeLessThan(2000);
});
