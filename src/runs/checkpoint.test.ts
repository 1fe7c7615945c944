import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { float32 } from "../tensor/mod.ts";
import { loadCheckpoint, saveCheckpoint } from "./checkpoint.node.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kandinsky-checkpoint-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const ESSENTIALS = { seed: 1, stages: [{ batch: 4 }] };

function stateAt(updates: number) {
  const values = new Map([["w", float32([2, 2], [1, 2, 3, updates])]]);
  return {
    updates,
    samples: 4 * updates,
    parameters: values,
    first: values,
    second: values,
    averages: [values],
  };
}

async function save(folder: string, update: number, loss = 1 / update, keep = 2): Promise<string> {
  const position = { update, cursor: { epoch: 0, batch: update }, loss };
  return saveCheckpoint({ folder, essentials: ESSENTIALS }, stateAt(update), position, keep);
}

test("saveCheckpoint keeps the last ones and the best, and loadCheckpoint gives back what was saved", async () => {
  const folder = join(root, "kept");
  for (const [update, loss] of [
    [1, 0.5],
    [2, 0.1],
    [3, 0.4],
    [4, 0.3],
    [5, 0.2],
  ] as const)
    await save(folder, update, loss);
  expect((await readdir(folder)).sort()).toEqual([
    "update-000000002",
    "update-000000004",
    "update-000000005",
  ]);
  const found = await loadCheckpoint({ folder, essentials: ESSENTIALS });
  expect(found).toMatchObject({ update: 5, cursor: { epoch: 0, batch: 5 }, loss: 0.2, damaged: [] });
  expect(found!.state).toEqual(stateAt(5));
});

test("loadCheckpoint passes over a damaged one, and tells where none is whole", async () => {
  const folder = join(root, "damaged");
  const before = await save(folder, 1);
  const last = await save(folder, 2);
  await truncate(join(last, "state.safetensors"), 100);
  const found = await loadCheckpoint({ folder, essentials: ESSENTIALS });
  expect(found!.update).toBe(1);
  expect(found!.damaged.length).toBe(1);
  await writeFile(join(before, "checkpoint.json"), "{");
  await expect(loadCheckpoint({ folder, essentials: ESSENTIALS })).rejects.toThrow(/no checkpoint is whole/);
  expect(await loadCheckpoint({ folder: join(root, "none"), essentials: ESSENTIALS })).toBeUndefined();
});

test("saveCheckpoint on a full disk says how much it needs, and leaves the checkpoint before as it was", async () => {
  const folder = join(root, "full");
  await save(folder, 1);
  const request = { folder, essentials: ESSENTIALS, freeBytes: async () => 50e6 };
  const position = { update: 2, cursor: null, loss: 1 };
  await expect(saveCheckpoint(request, stateAt(2), position, 2)).rejects.toMatchObject({
    code: "disk_full",
    parts: { seen: "50 MB free", wanted: "65 MB", hint: expect.stringContaining("--resume") },
  });
  expect(await readdir(folder)).toEqual(["update-000000001"]);
  expect((await loadCheckpoint({ folder, essentials: ESSENTIALS }))!.update).toBe(1);
});

test("saveCheckpoint killed at any moment leaves the checkpoint before it whole", async () => {
  const folder = join(root, "killed");
  const child = fileURLToPath(new URL("./test-saver.node.js", import.meta.url));
  let last = 0;
  for (let i = 0; i < 10; i++) {
    const process = fork(child, [folder, String(last)], { stdio: "ignore" });
    await once(process, "message");
    await new Promise((resolve) => setTimeout(resolve, 7 * i));
    process.kill("SIGKILL");
    await once(process, "exit");
    const found = await loadCheckpoint({ folder, essentials: ESSENTIALS });
    expect(found!.update).toBeGreaterThanOrEqual(last);
    expect(found!.damaged).toEqual([]);
    last = found!.update;
  }
  expect(last).toBeGreaterThan(5);
  expect(
    JSON.parse(
      await readFile(
        join(
          folder,
          (await readdir(folder))
            .filter((name) => !name.startsWith("."))
            .sort()
            .at(-1)!,
          "checkpoint.json",
        ),
        "utf8",
      ),
    ).update,
  ).toBe(last);
});
