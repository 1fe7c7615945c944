import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ARRAY_OF, type DType, ITEM_SIZE, type Tensor, tensor } from "../tensor/mod.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";
import { errorOf, temporaryFolder } from "./test-support.ts";
import { readTensor } from "./values.node.ts";
import { type StreamedTensor, writeSafetensors, writeSafetensorsStream } from "./write.node.ts";

function sample(dtype: DType): Tensor {
  const bytes = Uint8Array.from({ length: 3 * ITEM_SIZE[dtype] }, (_, i) =>
    dtype === "bool" ? i % 2 : 7 * i + 1,
  );
  return tensor(dtype, [3, 1], new ARRAY_OF[dtype](bytes.buffer));
}

const ALL = (Object.keys(ITEM_SIZE) as DType[]).map((dtype) => ({
  name: dtype as string,
  tensor: sample(dtype),
}));

test("writeSafetensors gives back every type, name and note, aligned", async () => {
  const path = join(await temporaryFolder(), "all.safetensors");
  const tensors = [
    ...ALL,
    { name: "__proto__", tensor: sample("float32") },
    { name: 'a "quoted" имя', tensor: tensor("float32", [0, 3], new Float32Array(0)) },
  ];
  await writeSafetensors(path, tensors, { format: "pt", note: "é" });
  const { entries, metadata } = await readSafetensorsHeader(path);
  expect(metadata).toEqual({ format: "pt", note: "é" });
  expect([...entries.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
  for (const { name, tensor: written } of tensors) {
    expect(await readTensor(entries.get(name)!), name).toEqual(written);
    expect(entries.get(name)!.offset % ITEM_SIZE[written.dtype], name).toBe(0);
  }
  expect(Math.min(...[...entries.values()].map(({ offset }) => offset)) % 64).toBe(0);
});

test("writeSafetensors: the whole file replaces the old one, and nothing is left beside it", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "a.safetensors");
  await writeFile(path, "old");
  await writeSafetensors(path, ALL, {});
  const first = await readFile(path);
  await writeSafetensors(path, ALL, {});
  expect(await readFile(path)).toEqual(first);
  expect(await readdir(folder)).toEqual(["a.safetensors"]);
});

test("writeSafetensors: two writers of one name leave one whole file", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "a.safetensors");
  const write = (value: number) =>
    writeSafetensors(
      path,
      [{ name: "t", tensor: tensor("uint8", [99], new Uint8Array(99).fill(value)) }],
      {},
    );
  await Promise.all([write(1), write(2), write(3)]);
  const { data } = await readTensor((await readSafetensorsHeader(path)).entries.get("t")!);
  expect(new Set(Array.from(data, Number)).size).toBe(1);
  expect(await readdir(folder)).toEqual(["a.safetensors"]);
});

test("writeSafetensors refuses a name twice, a reserved one and a place it cannot write", async () => {
  const folder = await temporaryFolder();
  const one = ALL[0]!;
  const path = join(folder, "a.safetensors");
  expect((await errorOf(() => writeSafetensors(path, [one, one], {}))).message).toContain("twice");
  const reserved = [{ name: "__metadata__", tensor: one.tensor }];
  expect((await errorOf(() => writeSafetensors(path, reserved, {}))).code).toBe("tensor_unexpected");
  const nowhere = join(folder, "none", "a.safetensors");
  expect((await errorOf(() => writeSafetensors(nowhere, [one], {}))).code).toBe("output_unwritable");
  await mkdir(path);
  expect((await errorOf(() => writeSafetensors(path, [one], {}))).code).toBe("output_unwritable");
  expect(await readdir(folder)).toEqual(["a.safetensors"]);
});

/** A float32 tensor [2,3] named "t" in the pieces given. */
function streamed(values: StreamedTensor["values"]): StreamedTensor[] {
  return [{ name: "t", dtype: "float32", shape: [2, 3], values }];
}

test("writeSafetensorsStream joins pieces, waits for slow ones and tells of each", async () => {
  const path = join(await temporaryFolder(), "a.safetensors");
  const written: number[] = [];
  const pieces = async function* () {
    yield Float32Array.of(1, 2);
    await new Promise((resolve) => setImmediate(resolve));
    // A part of a larger buffer.
    yield Float32Array.of(0, 3, 4, 5, 6, 0).subarray(1, 5);
  };
  await writeSafetensorsStream(path, streamed(pieces), {}, (bytes) => written.push(bytes));
  const entry = (await readSafetensorsHeader(path)).entries.get("t")!;
  expect(await readTensor(entry)).toEqual(tensor("float32", [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)));
  expect(written).toEqual([8, 16]);
});

test.each([5, 7, 0])(
  "writeSafetensorsStream refuses %i values for 6 and leaves the old file",
  async (count) => {
    const folder = await temporaryFolder();
    const path = join(folder, "a.safetensors");
    await writeFile(path, "old");
    const pieces = () => (count === 0 ? [] : [new Float32Array(count - 1), new Float32Array(1)]);
    const error = await errorOf(() => writeSafetensorsStream(path, streamed(pieces), {}, () => {}));
    expect([error.code, error.parts.where]).toEqual(["tensor_shape", `${path}, tensor "t"`]);
    expect([error.parts.seen, error.parts.wanted]).toEqual([`${4 * count} bytes`, "24 for float32[2,3]"]);
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["a.safetensors"]);
  },
);

test("writeSafetensorsStream makes the next piece while one is written, and never a third", async () => {
  const path = join(await temporaryFolder(), "a.safetensors");
  const order: string[] = [];
  const pieces = function* () {
    for (let i = 0; i < 3; i++) {
      order.push(`made ${i}`);
      yield Float32Array.of(i, i);
    }
  };
  await writeSafetensorsStream(path, streamed(pieces), {}, () => order.push("written"));
  expect(order).toEqual(["made 0", "made 1", "written", "made 2", "written", "written"]);
});

test("writeSafetensorsStream: what `onWritten` throws ends it, and no file is left", async () => {
  const folder = await temporaryFolder();
  const stop = new Error("stopped");
  const pieces = () => [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)];
  const writing = writeSafetensorsStream(join(folder, "a.safetensors"), streamed(pieces), {}, () => {
    throw stop;
  });
  await expect(writing).rejects.toBe(stop);
  expect(await readdir(folder)).toEqual([]);
});

test("writeSafetensorsStream lets through what the values throw, and leaves nothing", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "a.safetensors");
  const bug = new TypeError("not a view");
  const throwing = function* () {
    yield Float32Array.of(1);
    throw bug;
  };
  await expect(writeSafetensorsStream(path, streamed(throwing), {}, () => {})).rejects.toBe(bug);
  const unread = Object.assign(new Error("gone"), { code: "ENOENT" });
  const failing = () => {
    throw unread;
  };
  await expect(writeSafetensorsStream(path, streamed(failing), {}, () => {})).rejects.toBe(unread);
  expect(await readdir(folder)).toEqual([]);
});
