import { mkdtemp, readdir, readFile, realpath, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { startEngine } from "../runtime/mod.ts";
import { float32, row } from "../tensor/mod.ts";
import { openModel } from "./model.node.ts";
import { PACK_FOLDER, PackStore, packedBytes, removePacked, TEXT_FOLDER } from "./packing.node.ts";
import type { Precision } from "./plan.ts";
import { encodeText } from "./t5-runner.node.ts";
import { planText } from "./text.ts";
import { findTexts, removeTexts, TextCache, textCacheSize, textKeys } from "./text-cache.node.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

async function emptyFolder(): Promise<string> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-texts-")));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

const states = (value: number) => float32([1, 2, 3], new Float32Array(6).fill(value));

/** Bytes of one such entry on the disk: the header is filled up to 64. */
async function entryBytes(): Promise<number> {
  const root = await emptyFolder();
  await new TextCache(root, true).keep("one", states(1));
  return (await textCacheSize(root)).bytes;
}

test("TextCache gives back what it kept, bit for bit, to another process too", async () => {
  const root = await emptyFolder();
  const kept = float32([1, 2, 3], [1, -0, 1e-45, Math.PI, 3e38, -7]);
  await new TextCache(root, true).keep("one", kept);
  const other = new TextCache(root, true);
  expect((await other.find("one", [1, 2, 3]))?.data).toEqual(kept.data);
  expect(await other.find("two", [1, 2, 3])).toBeUndefined();
  // A key of another model that happens to be equal.
  expect(await other.find("one", [1, 3, 2])).toBeUndefined();
});

test("TextCache keeps nothing where it shall not, and where the folder cannot be written", async () => {
  const root = await emptyFolder();
  const off = new TextCache(root, false);
  await off.keep("one", states(1));
  expect([await off.find("one", [1, 2, 3]), await readdir(root)]).toEqual([undefined, []]);
  await writeFile(join(root, PACK_FOLDER), "in the way");
  const blocked = new TextCache(root, true);
  await blocked.keep("one", states(1));
  expect(await blocked.find("one", [1, 2, 3])).toBeUndefined();
});

test.each([
  ["a value was changed", (bytes: Buffer) => bytes.fill(bytes.at(-1)! ^ 1, bytes.length - 1)],
  ["the end is missing", (bytes: Buffer) => bytes.subarray(0, -5)],
  ["the header is none", (bytes: Buffer) => bytes.fill(0xff, 0, 20)],
  ["it is empty", () => Buffer.alloc(0)],
])("TextCache counts an entry as absent where %s, and writes it anew", async (_, damage) => {
  const root = await emptyFolder();
  const cache = new TextCache(root, true);
  await cache.keep("one", states(1));
  const file = join(root, PACK_FOLDER, TEXT_FOLDER, "one.safetensors");
  await writeFile(file, damage(await readFile(file)));
  expect(await cache.find("one", [1, 2, 3])).toBeUndefined();
  await cache.keep("one", states(2));
  expect((await cache.find("one", [1, 2, 3]))?.data[0]).toBe(2);
});

test("TextCache stays below its bound: what was not used for longest goes", async () => {
  const root = await emptyFolder();
  const bound = 3 * (await entryBytes());
  const cache = new TextCache(root, true, bound);
  const folder = join(root, PACK_FOLDER, TEXT_FOLDER);
  for (const [i, key] of ["a", "b", "c"].entries()) {
    await cache.keep(key, states(i));
    const then = new Date(Date.now() - 1000 * (100 - i));
    await utimes(join(folder, `${key}.safetensors`), then, then);
  }
  expect((await cache.find("a", [1, 2, 3]))?.data[0]).toBe(0);
  await cache.keep("d", states(3));
  expect((await readdir(folder)).sort()).toEqual(["a", "c", "d"].map((key) => `${key}.safetensors`));
  expect((await textCacheSize(root)).bytes).toBeLessThanOrEqual(bound);
});

test("TextCache: many at once on one folder leave whole entries only", async () => {
  const root = await emptyFolder();
  const bound = 5 * (await entryBytes());
  const work = Array.from({ length: 40 }, async (_, i) => {
    const cache = new TextCache(root, true, bound);
    const key = `${i % 8}`;
    await cache.keep(key, states(i % 8));
    const found = await cache.find(key, [1, 2, 3]);
    return found === undefined || found.data.every((value) => value === i % 8);
  });
  expect(await Promise.all(work)).toEqual(work.map(() => true));
  const names = await readdir(join(root, PACK_FOLDER, TEXT_FOLDER));
  expect(names.filter((name) => !name.endsWith(".safetensors"))).toEqual([]);
  expect((await textCacheSize(root)).bytes).toBeLessThanOrEqual(bound);
});

test("removeTexts and removePacked each leave what is the other's", async () => {
  const root = await emptyFolder();
  await new TextCache(root, true).keep("one", states(1));
  const packed = join(root, PACK_FOLDER, "unet-0.safetensors");
  await writeFile(packed, "12345");
  expect([await packedBytes(root), (await textCacheSize(root)).files]).toEqual([5, 1]);
  await removePacked(root);
  expect([await packedBytes(root), (await textCacheSize(root)).files]).toEqual([0, 1]);
  await writeFile(packed, "12345");
  await removeTexts(root);
  expect([(await stat(packed)).size, await textCacheSize(root)]).toEqual([5, { bytes: 0, files: 0 }]);
  await removePacked(root);
  await removeTexts(root);
  expect(await readdir(root)).toEqual([]);
});

test("findTexts encodes only what is missing, and gives the states of a batch bit for bit", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 2 });
  const { text, tokenizer } = await openModel(TINY);
  const root = await emptyFolder();
  const { part, config } = text;
  const workshop = { engine, store: new PackStore(root, false, () => {}) };
  const cache = new TextCache(root, true);
  const options = { profile: "diffusers", guided: true, joint: false } as const;
  const planOf = (...prompts: string[]) =>
    planText(
      tokenizer,
      prompts.map((prompt) => ({ prompt, negative: "blurry" })),
      options,
    );
  const read = async (plan: ReturnType<typeof planOf>) => {
    const found = await findTexts(
      cache,
      await textKeys(engine, part, config, plan, "stored"),
      plan,
      config.dModel,
    );
    const encoded: number[] = [];
    const hidden = await found.complete((missing) => {
      encoded.push(missing.rows.length);
      return encodeText(workshop, part, config, missing);
    });
    return { hidden, known: found.known, encoded };
  };
  const first = await read(planOf("a red cat"));
  expect([first.known, first.encoded]).toEqual([0, [2]]);
  const plan = planOf("синий дом", "a red cat");
  const second = await read(plan);
  expect([second.known, second.encoded]).toEqual([2, [1]]);
  const third = await read(plan);
  expect([third.known, third.encoded]).toEqual([3, []]);
  const whole = await encodeText(workshop, part, config, plan);
  expect(second.hidden.data).toEqual(whole.data);
  expect(third.hidden.data).toEqual(whole.data);
  expect(row(whole, 0).data).not.toEqual(row(whole, 2).data);
});

test("textKeys tell apart all that states depend on", async () => {
  await using one = await startEngine({ device: "cpu", threads: 1 });
  const { text } = await openModel(TINY);
  const { part, config } = text;
  const plan = { rows: [{ ids: [5, 1], attended: 2 }], conditional: [], unconditional: [], paddedLength: 32 };
  const key = async (engine = one, other = {}, where = part, precision: Precision = "stored") =>
    (await textKeys(engine, where, config, { ...plan, ...other }, precision))[0]!;
  const entries = new Map([...part.entries].map(([name, entry]) => [`${name}x`, entry]));
  const keys = await Promise.all([
    key(),
    key({ ...one, threads: 2 }),
    key({ ...one, device: "cuda" }),
    key(one, { paddedLength: 64 }),
    key(one, { rows: [{ ids: [5, 1], attended: 1 }] }),
    key(one, { rows: [{ ids: [51], attended: 2 }] }),
    key(one, {}, { ...part, entries }),
    key(one, {}, part, "int8"),
  ]);
  expect(new Set(keys).size).toBe(keys.length);
  expect(await key()).toBe(keys[0]);
});
