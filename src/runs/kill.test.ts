import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { drawsOf, keyOf } from "../random/mod.ts";
import type { RunEvent } from "./mod.ts";
import { writePictures, writeTinyModel } from "./test-support.ts";

const PROGRAM = fileURLToPath(new URL("./kill.test-support.js", import.meta.url));
const KILLS = 10;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kandinsky-kill-"));
  await writePictures(join(root, "pictures"));
  await writeTinyModel(join(root, "model"));
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

/** When to kill: so many bytes after the first event of that type, or right after the start. */
interface Moment {
  readonly after: RunEvent["type"] | "start";
  readonly bytes: number;
}

/** Goes on with the run in a folder until the moment, or to its end. */
async function runUntil(folder: string, moment: Moment | undefined): Promise<readonly RunEvent[]> {
  const events: RunEvent[] = [];
  const child = fork(PROGRAM, [root, folder], { stdio: "ignore" });
  const ended = once(child, "exit");
  let isWatched = false;
  const watch = async (bytes: number) => {
    isWatched = true;
    let [written, before] = [0, bytesIn(folder)];
    while (child.exitCode === null && written < bytes) {
      await setTimeout(1);
      const now = bytesIn(folder);
      // What old checkpoints took was given back: it does not count.
      written += Math.max(now - before, 0);
      before = now;
    }
    child.kill("SIGKILL");
  };
  child.on("message", (event: RunEvent) => {
    events.push(event);
    if (event.type === moment?.after && !isWatched) void watch(moment.bytes);
  });
  if (moment?.after === "start") void watch(moment.bytes);
  await ended;
  return events;
}

function bytesIn(folder: string): number {
  try {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    return files.reduce((sum, { parentPath, name }) => sum + sizeOf(join(parentPath, name)), 0);
  } catch {
    return 0;
  }
}

/** 0 for a file that was removed meanwhile. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

async function newest(folder: string): Promise<{ readonly update: number; readonly sha256: string }> {
  const names = (await readdir(join(folder, "checkpoints"))).filter((name) => name.startsWith("update-"));
  return JSON.parse(
    await readFile(join(folder, "checkpoints", names.sort().at(-1)!, "checkpoint.json"), "utf8"),
  );
}

test("runTraining killed at 10 random moments loses no checkpoint, and ends with the weights of the run that was not", {
  timeout: 900_000,
}, async () => {
  const whole = join(root, "whole");
  await runUntil(whole, undefined);
  const wanted = await newest(whole);
  const size = bytesIn(join(whole, "checkpoints")) / 2;

  const seed = Date.now();
  const draws = drawsOf(keyOf(seed));
  const folder = join(root, "killed");
  let saved = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const after = draws.pick(["start", "stage", "step", "step", "checkpoint", "checkpoint"] as const);
    const moment: Moment = { after, bytes: after === "start" ? 0 : draws.uniform(0, 1.5 * size) };
    const said = `seed ${seed}, kill ${kill}, ${JSON.stringify(moment)}`;
    const events = await runUntil(folder, moment);
    const [first] = events;
    // The one before may have been killed between the renaming of a checkpoint and telling it.
    if (first?.type === "resumed") {
      expect(first.update, said).toBeGreaterThanOrEqual(saved);
      expect(first.damaged, said).toEqual([]);
    } else if (events.length > 0) expect(saved, said).toBe(0);
    for (const event of events) {
      if (event.type === "checkpoint") saved = Number(event.folder.match(/(\d+)$/)![1]);
    }
  }
  const events = await runUntil(folder, undefined);
  expect(events.at(-1), `seed ${seed}`).toEqual({ type: "ended", update: 12, updates: 12 });
  expect(await newest(folder), `seed ${seed}`).toMatchObject({ update: 12, sha256: wanted.sha256 });
  const records = (await readFile(join(folder, "log.jsonl"), "utf8")).trim().split("\n");
  expect(records.map((line) => JSON.parse(line).update)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
});
