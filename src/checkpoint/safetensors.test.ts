import { readdirSync, readFileSync } from "node:fs";
import { open, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";
import { copyGolden, errorOf, GOLDEN, temporaryFolder } from "./test-support.ts";
import { readTensor } from "./values.node.ts";

const FOLDER = join(GOLDEN, "checkpoints");
interface Expectation {
  readonly expect: "accept" | "reject" | "either";
  readonly why: string;
}
const EXPECTED = (
  JSON.parse(readFileSync(join(FOLDER, "expected.json"), "utf8")) as { files: Record<string, Expectation> }
).files;
const HOSTILE = readdirSync(join(FOLDER, "hostile")).filter((name) => name.startsWith("st-"));

test("readSafetensorsHeader: every hostile file is there", () => {
  const known = Object.keys(EXPECTED).filter((name) => name.startsWith("hostile/st-"));
  expect(HOSTILE.map((name) => `hostile/${name}`).sort()).toEqual(known.sort());
});

test.each(HOSTILE)("readSafetensorsHeader refuses %s within a second and in little memory", async (name) => {
  const { expect: outcome, why } = EXPECTED[`hostile/${name}`]!;
  expect(outcome).toBe("reject");
  const path = join(FOLDER, "hostile", name);
  const before = { time: performance.now(), memory: process.memoryUsage().rss };
  const error = await errorOf(() => readSafetensorsHeader(path));
  expect(performance.now() - before.time, `milliseconds for ${why}`).toBeLessThan(1000);
  expect(process.memoryUsage().rss - before.memory, `bytes for ${why}`).toBeLessThan(50e6);
  expect(error.code, why).toBe(name.startsWith("st-dtype") ? "tensor_dtype" : "file_corrupt");
  expect(error.message).toContain(path);
});

test.each([
  ["st-overlap", 'tensor "b" that overlaps tensor "a"'],
  ["st-hole", 'tensor "b" that leaves a hole after tensor "a"'],
  ["st-same-range", "overlaps"],
  ["st-trailing", "a file of 176 bytes"],
  ["st-duplicate-key", 'the key "a" twice'],
  ["st-not-utf8", "no UTF-8"],
  ["st-not-json", "no JSON"],
  ["st-array", "begins with"],
  ["st-header-limit", "a header of 9007199254740993 bytes"],
  ["st-metadata-number", '__metadata__ "step" 3'],
  ["st-shape-overflow", "8 bytes"],
])("readSafetensorsHeader says what is wrong with %s", async (name, seen) => {
  const error = await errorOf(() => readSafetensorsHeader(join(FOLDER, `hostile/${name}.safetensors`)));
  expect(error.parts.seen).toContain(seen);
});

test("readSafetensorsHeader refuses a repeated key where the last one alone would fit", async () => {
  const path = join(await temporaryFolder(), "twice.safetensors");
  const entry = '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
  const write = (json: string) =>
    writeFile(
      path,
      Buffer.concat([Uint8Array.of(json.length, 0, 0, 0, 0, 0, 0, 0), Buffer.from(`${json}x`)]),
    );
  await write(`{${entry}}`);
  expect((await readSafetensorsHeader(path)).entries.size).toBe(1);
  await write(`{${entry},${entry}}`);
  expect((await errorOf(() => readSafetensorsHeader(path))).parts.seen).toContain("twice");
});

test("readSafetensorsHeader says what a file is that is no safetensors file", async () => {
  const error = await errorOf(() =>
    readSafetensorsHeader(join(FOLDER, "hostile/st-header-too-long.safetensors")),
  );
  expect(error.parts.seen).toContain("header of");
  const folder = await temporaryFolder();
  await writeFile(join(folder, "a"), Uint8Array.from([0x50, 0x4b, 3, 4, 0, 0, 0, 0, 1]));
  expect((await errorOf(() => readSafetensorsHeader(join(folder, "a")))).message).toContain("zip");
});

test("readSafetensorsHeader reads the control file and its unaligned twin alike", async () => {
  for (const name of ["handmade.safetensors", "odd/st-header-unaligned.safetensors"]) {
    expect(EXPECTED[name]!.expect).toBe("accept");
    const { entries } = await readSafetensorsHeader(join(FOLDER, name));
    const a = await readTensor(entries.get("a")!);
    const b = await readTensor(entries.get("b")!);
    expect([...entries.keys()]).toEqual(["a", "b"]);
    expect({ ...a, data: [...a.data] }).toEqual({
      dtype: "float32",
      shape: [2, 3],
      data: [0, 1, 2, 3, 4, 5],
    });
    expect({ ...b, data: [...b.data] }).toEqual({
      dtype: "float16",
      shape: [4],
      data: [0, 0x3c00, 0x4000, 0x4200],
    });
  }
});

test("readSafetensorsHeader keeps tensors named after Object's own and changes no prototype", async () => {
  const { entries } = await readSafetensorsHeader(join(FOLDER, "odd/st-proto-names.safetensors"));
  expect([...entries.keys()]).toEqual(["__proto__", "constructor"]);
  expect(entries.get("__proto__")!.shape).toEqual([2, 3]);
  expect(({} as { dtype?: string }).dtype).toBeUndefined();
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
});

test("readSafetensorsHeader reads empty and scalar tensors, and a file of no tensors", async () => {
  const { entries } = await readSafetensorsHeader(join(FOLDER, "odd/st-zero-size.safetensors"));
  expect([...entries.values()].map(({ name, shape, byteLength }) => ({ name, shape, byteLength }))).toEqual([
    { name: "a", shape: [0, 3], byteLength: 0 },
    { name: "b", shape: [], byteLength: 4 },
  ]);
  expect((await readTensor(entries.get("a")!)).data.length).toBe(0);
  expect((await readTensor(entries.get("b")!)).data.length).toBe(1);
  expect((await readSafetensorsHeader(join(FOLDER, "odd/st-no-tensors.safetensors"))).entries.size).toBe(0);
});

test("readSafetensorsHeader reads a tensor whose values lie at an odd byte", async () => {
  const { entries } = await readSafetensorsHeader(join(FOLDER, "odd/st-misaligned.safetensors"));
  const b = entries.get("b")!;
  expect(b.offset % 4).not.toBe(0);
  expect([...(await readTensor(b)).data]).toHaveLength(2);
});

test("readSafetensorsHeader: a missing file, a folder", async () => {
  expect((await errorOf(() => readSafetensorsHeader(join(FOLDER, "none.safetensors")))).code).toBe(
    "file_missing",
  );
  expect((await errorOf(() => readSafetensorsHeader(FOLDER))).message).toContain("a folder");
});

test("readSafetensorsHeader refuses a real model's file at any length but its own", async () => {
  const path = join(await copyGolden("tiny-k3-inpaint/unet"), "diffusion_pytorch_model.safetensors");
  const { entries, fileSize } = await readSafetensorsHeader(path);
  expect(entries.size).toBeGreaterThan(300);
  for (const size of [fileSize - 1, fileSize >> 1, 5000, 8, 7]) {
    await truncate(path, size);
    expect((await errorOf(() => readSafetensorsHeader(path))).code, `${size} bytes`).toBe("file_corrupt");
  }
});

test("readSafetensorsHeader reads nothing but the header: a gibibyte of values costs no memory", async () => {
  const path = join(await temporaryFolder(), "large.safetensors");
  const header = Buffer.from(
    JSON.stringify({ a: { dtype: "F32", shape: [2 ** 28], data_offsets: [0, 2 ** 30] } }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const handle = await open(path, "w");
  await handle.write(Buffer.concat([length, header]));
  await handle.truncate(8 + header.length + 2 ** 30).finally(() => handle.close());
  const before = process.memoryUsage().rss;
  expect((await readSafetensorsHeader(path)).entries.get("a")!.byteLength).toBe(2 ** 30);
  expect(process.memoryUsage().rss - before).toBeLessThan(50e6);
});

test("readSafetensorsHeader survives random damage of a good header", async () => {
  const good = readFileSync(join(FOLDER, "handmade.safetensors"));
  const path = join(await temporaryFolder(), "damaged.safetensors");
  let state = 12345;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  let refused = 0;
  for (let round = 0; round < 300; round++) {
    const bytes = Uint8Array.from(good);
    for (let k = 0; k <= round % 3; k++) bytes[random(136)] = random(256);
    await writeFile(path, bytes);
    const outcome = await readSafetensorsHeader(path).catch((error: unknown) => error);
    if (outcome instanceof KandinskyError) refused++;
    else expect(outcome, `round ${round}`).toHaveProperty("entries");
  }
  expect(refused).toBeGreaterThan(200);
});
