import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { float32, type Tensor } from "../tensor/mod.ts";
import { latentKey, openTensorCache, removeStaleCaches, textKey } from "./cache.node.ts";
import { withFolder } from "./test-support.ts";

const ENCODER = "a".repeat(64);
const OTHER = "b".repeat(64);
const value = (n: number): Tensor => float32([2, 2], [n, n + 1, n + 2, n + 3]);

test("openTensorCache finds values again for the same encoder only", () =>
  withFolder(async (folder) => {
    const cache = await openTensorCache(folder, ENCODER);
    await cache.put("k1", value(1));
    expect(await cache.get("k1")).toEqual(value(1));
    expect(await readdir(folder)).toEqual([]);
    await cache.flush();
    await cache.put("k2", value(2));
    await cache.put("k1", value(9));
    await cache.flush();
    await cache.flush();
    const again = await openTensorCache(folder, ENCODER);
    expect([again.size, await again.get("k1"), await again.get("k2")]).toEqual([2, value(1), value(2)]);
    expect([again.has("k1"), again.has("k3"), await again.get("k3")]).toEqual([true, false, undefined]);
    const other = await openTensorCache(folder, OTHER);
    expect([other.size, other.has("k1")]).toEqual([0, false]);
    expect((await readdir(folder)).length).toBe(2);
  }));

test("openTensorCache names damaged files and goes on with the rest", () =>
  withFolder(async (folder) => {
    const cache = await openTensorCache(folder, ENCODER);
    for (const n of [1, 2]) {
      await cache.put(`k${n}`, value(n));
      await cache.flush();
    }
    const [name] = await readdir(folder);
    await truncate(join(folder, name!), 40);
    const again = await openTensorCache(folder, ENCODER);
    expect(again.damaged).toEqual([name]);
    expect(again.size).toBe(1);
    await expect(openTensorCache(folder, "../x")).rejects.toMatchObject({ code: "option_invalid" });
  }));

test("removeStaleCaches deletes the values of other encoders and nothing else", () =>
  withFolder(async (folder) => {
    for (const encoder of [ENCODER, OTHER]) {
      const cache = await openTensorCache(folder, encoder);
      await cache.put("k", value(1));
      await cache.flush();
    }
    expect((await removeStaleCaches(folder, [ENCODER])).length).toBe(1);
    expect((await openTensorCache(folder, ENCODER)).size).toBe(1);
    expect((await openTensorCache(folder, OTHER)).size).toBe(0);
  }));

test("latentKey and textKey change with everything that changes the result", () => {
  const made = { width: 64, height: 48, across: 0.5, down: 0.5, flip: false, dtype: "float16" };
  const bytes = Uint8Array.of(1, 2, 3);
  const keys = [
    latentKey(bytes, made),
    latentKey(Uint8Array.of(1, 2, 4), made),
    ...[
      { width: 48 },
      { height: 64 },
      { across: 0.4 },
      { down: 0.4 },
      { flip: true },
      { dtype: "float32" },
    ].map((change) => latentKey(bytes, { ...made, ...change })),
    textKey([1, 2], "float16"),
    textKey([12], "float16"),
    textKey([1, 2], "float32"),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(latentKey(Uint8Array.of(1, 2, 3), { ...made })).toBe(keys[0]);
});
