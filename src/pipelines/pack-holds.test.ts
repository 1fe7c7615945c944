import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { HOLDS_FOLDER, PackHolds, releaseDead } from "./pack-holds.node.ts";
import { PACK_FOLDER } from "./packing.node.ts";

const CHILD = fileURLToPath(new URL("./pack-holds.test-support-child.js", import.meta.url));

async function emptyFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-holds-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("PackStore: two processes with other adapters on one model never lose what they found", async () => {
  const root = await emptyFolder();
  await mkdir(join(root, "unet"));
  const tensor = float32([4, 4], new Float32Array(16).fill(1));
  await writeSafetensors(join(root, "unet", "weights.safetensors"), [{ name: "weight", tensor }], {});
  const turns = async (name: string) =>
    (await promisify(execFile)(process.execPath, [CHILD, root, name, "40"])).stdout.trim();
  expect(await Promise.all([turns("one"), turns("other")])).toEqual(["40", "40"]);
  const packs = join(root, PACK_FOLDER);
  // Neither gave back its last one.
  expect(await readdir(join(packs, HOLDS_FOLDER))).toHaveLength(2);
  await releaseDead(packs);
  const left = await readdir(packs);
  expect(left.filter((name) => !name.endsWith(".safetensors"))).toEqual([]);
  expect(left.length, "packs of the latest choice only").toBeLessThanOrEqual(2);
});

test("PackHolds keeps a file that others remove until it is released", async () => {
  const root = await emptyFolder();
  const file = join(root, "pack.safetensors");
  await writeFile(file, "packed");
  const holds = new PackHolds();
  const held = (await holds.hold(file))!;
  expect(await holds.hold(file)).toBe(held);
  await rm(file);
  expect((await stat(held)).size).toBe(6);
  // What is held of a living process stays.
  await releaseDead(root);
  expect((await stat(held)).size).toBe(6);
  const late = new PackHolds();
  expect(await late.hold(file)).toBeUndefined();
  await late.release();
  await holds.release();
  await releaseDead(root);
  expect(await readdir(root)).toEqual([]);
});
