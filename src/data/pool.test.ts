import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { openWorkerPool } from "./pool.node.ts";
import { withFolder } from "./test-support.ts";

const MODULE = `
export async function makeJob({ factor, broken }) {
  if (broken) throw new Error("cannot set up");
  return async ({ value, end, fail, millis }) => {
    if (end) process.exit(3);
    if (fail) throw new Error("job " + fail);
    await new Promise((resolve) => setTimeout(resolve, millis ?? 0));
    return { values: Float32Array.of(value * factor), of: [new Uint8Array([1, 2, 3])] };
  };
}`;

interface Job {
  readonly value?: number;
  readonly end?: boolean;
  readonly fail?: string;
  readonly millis?: number;
}
interface Result {
  readonly values: Float32Array;
  readonly of: readonly Uint8Array[];
}

async function withPool(
  count: number,
  use: (pool: Awaited<ReturnType<typeof openWorkerPool<object, Job, Result>>>) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "job.mjs");
    await writeFile(path, MODULE);
    const pool = await openWorkerPool<object, Job, Result>(pathToFileURL(path), { factor: 3 }, count);
    try {
      await use(pool);
    } finally {
      await pool.close();
    }
  });
}

test("openWorkerPool does many jobs at once and gives each its own result", () =>
  withPool(3, async (pool) => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, value) => pool.run({ value, millis: value % 5 })),
    );
    expect(results.map(({ values }) => values[0])).toEqual(Array.from({ length: 50 }, (_, i) => 3 * i));
    expect(results[7]!.of[0]).toEqual(new Uint8Array([1, 2, 3]));
  }));

test("openWorkerPool passes on what a job throws and goes on", () =>
  withPool(1, async (pool) => {
    await expect(pool.run({ fail: "seven" })).rejects.toThrow("job seven");
    expect((await pool.run({ value: 2 })).values[0]).toBe(6);
  }));

test("openWorkerPool rejects the jobs of a thread that dies, and later ones", () =>
  withPool(1, async (pool) => {
    const waiting = pool.run({ value: 1, millis: 60_000 });
    const dying = pool.run({ end: true });
    await expect(waiting).rejects.toMatchObject({ code: "engine_died" });
    await expect(dying).rejects.toMatchObject({ code: "engine_died" });
    await expect(pool.run({ value: 1 })).rejects.toMatchObject({ code: "engine_died" });
  }));

test("openWorkerPool rejects where a thread cannot be set up, and open jobs are cancelled by close", () =>
  withFolder(async (folder) => {
    const path = join(folder, "job.mjs");
    await writeFile(path, MODULE);
    await expect(openWorkerPool(pathToFileURL(path), { broken: true }, 2)).rejects.toThrow("cannot set up");
    const pool = await openWorkerPool<object, Job, Result>(pathToFileURL(path), { factor: 1 }, 1);
    const open = pool.run({ value: 1, millis: 60_000 });
    open.catch(() => {});
    await pool.close();
    await expect(open).rejects.toMatchObject({ code: "cancelled" });
  }));
