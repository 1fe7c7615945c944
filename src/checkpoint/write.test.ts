import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ARRAY_OF, type DType, ITEM_SIZE, type Tensor, tensor } from "../tensor/mod.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";
import { errorOf, temporaryFolder } from "./test-support.ts";
import { readTensor } from "./values.node.ts";
import { writeSafetensors } from "./write.node.ts";

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
