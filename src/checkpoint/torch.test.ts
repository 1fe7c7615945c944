import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { numberToBfloat16, numberToFloat16, type Tensor } from "../tensor/mod.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";
import { errorOf, GOLDEN } from "./test-support.ts";
import { readTorchHeader } from "./torch.node.ts";
import { readTorchTensor } from "./torch-values.node.ts";
import { readTensor } from "./values.node.ts";

const FOLDER = join(GOLDEN, "checkpoints");
const EXPECTED = (
  JSON.parse(readFileSync(join(FOLDER, "expected.json"), "utf8")) as {
    files: Record<string, { expect: string; why: string }>;
  }
).files;
const HOSTILE = Object.keys(EXPECTED).filter((name) => name.startsWith("hostile/") && name.endsWith(".pt"));

async function read(name: string): Promise<ReadonlyMap<string, Tensor>> {
  const { entries } = await readTorchHeader(join(GOLDEN, name));
  const tensors = new Map<string, Tensor>();
  for (const entry of entries) tensors.set(entry.name, await readTorchTensor(entry));
  return tensors;
}

async function stored(path: string): Promise<ReadonlyMap<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of (await readSafetensorsHeader(path)).entries) {
    tensors.set(name, await readTensor(entry));
  }
  return tensors;
}

test("readTorchHeader: every hostile file is there", () => {
  const here = readdirSync(join(FOLDER, "hostile")).filter((name) => name.endsWith(".pt"));
  expect(here.map((name) => `hostile/${name}`).sort()).toEqual([...HOSTILE].sort());
  expect(HOSTILE.length).toBe(57);
});

test.each(HOSTILE)("readTorchHeader refuses %s within a second and in little memory", async (name) => {
  const { why } = EXPECTED[name]!;
  const path = join(FOLDER, name);
  const before = { time: performance.now(), memory: process.memoryUsage().rss };
  const error = await errorOf(() => readTorchHeader(path));
  expect(performance.now() - before.time, `milliseconds for ${why}`).toBeLessThan(1000);
  expect(process.memoryUsage().rss - before.memory, `bytes for ${why}`).toBeLessThan(100e6);
  expect(["file_corrupt", "file_unsafe"], why).toContain(error.code);
  expect(error.message).toContain(path);
  expect(readdirSync(FOLDER)).not.toContain("PWNED");
  expect(readdirSync(process.cwd())).not.toContain("PWNED");
});

test.each([
  ["reduce-os-system", "file_unsafe", '"os.system"'],
  ["reduce-posix-system", "file_unsafe", '"posix.system"'],
  ["reduce-py2-builtin", "file_unsafe", '"__builtin__.eval"'],
  ["dotted-global", "file_unsafe", '"torch.serialization.os.system"'],
  ["load-from-bytes", "file_unsafe", '"torch.storage._load_from_bytes"'],
  ["global-only", "file_unsafe", "os.system"],
  ["legacy-sysinfo", "file_unsafe", "os.system"],
  ["inst-opcode", "file_unsafe", "INST"],
  ["ext-opcode", "file_unsafe", "EXT1"],
  ["deep-nesting", "file_corrupt", "nested more than 32 deep"],
  ["memo-bomb", "file_unsafe", "POP"],
  ["trailing-opcode", "file_corrupt", "the end of the data"],
  ["huge-expand", "file_corrupt", "bytes of tensors"],
  ["stride-out-of-bounds", "file_corrupt", "a tensor up to element"],
  ["storage-missing", "file_corrupt", "no record"],
  ["storage-key-path", "file_corrupt", "the storage key"],
  ["zip-encrypted", "file_corrupt", "encrypted"],
  ["zip-deflated", "file_corrupt", "compressed (method 8)"],
  ["zip-slip", "file_corrupt", "the record name"],
  ["zip-absolute", "file_corrupt", "the record name"],
  ["zip-duplicate", "file_corrupt", 'two records named "archive/data.pkl"'],
  ["zip-two-roots", "file_corrupt", "the top folders"],
  ["zip-no-pickle", "file_corrupt", "no archive/data.pkl"],
  ["zip-local-name", "file_corrupt", "under another name"],
  ["empty", "file_corrupt", "an empty file"],
  ["text", "file_corrupt", "a Git LFS pointer"],
])("readTorchHeader says what is wrong with %s", async (name, code, seen) => {
  const error = await errorOf(() => readTorchHeader(join(FOLDER, `hostile/${name}.pt`)));
  expect(error.code).toBe(code);
  expect(error.parts.seen).toContain(seen);
});

test("readTorchTensor: views and types are bit-equal to the expected tensors, in both formats", async () => {
  const expected = await stored(join(FOLDER, "expected-tensors.safetensors"));
  const seen = new Set<string>();
  for (const [file, prefix] of [
    ["views.pt", "views"],
    ["views-legacy.pt", "views"],
    ["dtypes.pt", "dtypes"],
  ] as const) {
    for (const [name, tensor] of await read(`checkpoints/${file}`)) {
      expect(tensor, `${file} ${name}`).toEqual(expected.get(`${prefix}/${name}`));
      seen.add(`${prefix}/${name}`);
    }
  }
  expect([...seen].sort()).toEqual([...expected.keys()].sort());
});

test.each([
  ["mini-fp32.pt", 49, (x: number) => x],
  ["mini-legacy.pt", 49, (x: number) => x],
  ["mini-protocol4.pt", 7, (x: number) => x],
  ["mini-extras.pt", 7, (x: number) => x],
  ["mini-fp16.pt", 49, numberToFloat16],
  ["mini-bf16.pt", 49, numberToBfloat16],
] as const)("readTorchTensor: %s has the values of the whole U-Net", async (file, count, round) => {
  const whole = await read("native/kandinsky3.pt");
  const part = await read(`checkpoints/${file}`);
  expect(part.size).toBe(count);
  for (const [name, { data, shape }] of part) {
    const source = whole.get(name)!;
    expect(shape, name).toEqual(source.shape);
    expect(Array.from(data as Float32Array), name).toEqual(Array.from(source.data as Float32Array, round));
  }
});

test("readTorchTensor: two shards hold the text encoder", async () => {
  const expected = await stored(join(GOLDEN, "tiny-k3/text_encoder/model.safetensors"));
  const shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
  const all = (await Promise.all(shards.map((name) => read(`checkpoints/${name}`)))).flatMap((m) => [...m]);
  expect(all).toHaveLength(11);
  for (const [name, tensor] of all) expect(tensor, name).toEqual(expected.get(name));
});

test("readTorchHeader keeps odd names apart and changes no prototype", async () => {
  const tensors = await read("checkpoints/odd/proto-names.pt");
  expect([...tensors.keys()]).toEqual(["unet.__proto__", "unet.constructor", "null_embedding"]);
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect((await readTorchHeader(join(FOLDER, "handmade.pt"))).entries.map(({ name }) => name)).toEqual([
    "unet.a.weight",
    "null_embedding",
  ]);
});

test("readTorchHeader tells of a file that is not there", async () => {
  expect((await errorOf(() => readTorchHeader(join(FOLDER, "none.pt")))).code).toBe("file_missing");
  expect((await errorOf(() => readTorchHeader(FOLDER))).code).toBe("file_corrupt");
});
