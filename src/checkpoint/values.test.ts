import { readdirSync } from "node:fs";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Tensor, tensor } from "../tensor/mod.ts";
import type { TensorEntry } from "./entry.ts";
import { readSafetensorsHeader } from "./safetensors.node.ts";
import { errorOf, temporaryFolder } from "./test-support.ts";
import { readTensor, readTensorAsFloat32, streamFloat32 } from "./values.node.ts";
import { writeSafetensors } from "./write.node.ts";

/** 1, -2, 0.5 and the smallest normal number in each type's bits. */
const CASES: readonly { readonly stored: Tensor; readonly values: readonly number[] }[] = [
  { stored: tensor("float32", [4], Float32Array.of(1, -2, 0.5, 2 ** -126)), values: [1, -2, 0.5, 2 ** -126] },
  {
    stored: tensor("float16", [4], Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x0400)),
    values: [1, -2, 0.5, 2 ** -14],
  },
  {
    stored: tensor("bfloat16", [2, 2], Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0x0080)),
    values: [1, -2, 0.5, 2 ** -126],
  },
  {
    stored: tensor("float64", [1, 4], Float64Array.of(1, -2, 0.5, 0.1)),
    values: [1, -2, 0.5, Math.fround(0.1)],
  },
];

async function store(stored: Tensor): Promise<TensorEntry> {
  const path = join(await temporaryFolder(), "t.safetensors");
  await writeSafetensors(path, [{ name: "t", tensor: stored }], {});
  return (await readSafetensorsHeader(path)).entries.get("t")!;
}

test.each(CASES)("readTensorAsFloat32 widens $stored.dtype exactly", async ({ stored, values }) => {
  const { dtype, shape, data } = await readTensorAsFloat32(await store(stored));
  expect({ dtype, shape, data: [...data] }).toEqual({ dtype: "float32", shape: stored.shape, data: values });
});

test.each(CASES)("streamFloat32 gives $stored.dtype in pieces", async ({ stored, values }) => {
  const pieces: number[][] = [];
  for await (const piece of streamFloat32(await store(stored), 3)) pieces.push([...piece]);
  expect(pieces).toEqual([values.slice(0, 3), values.slice(3)]);
});

test("readTensorAsFloat32 joins its chunks where a tensor is longer than one", async () => {
  const bits = Uint16Array.from({ length: 2 ** 20 + 5 }, (_, i) => i % 0x7c00);
  const entry = await store(tensor("float16", [bits.length], bits));
  const whole = (await readTensorAsFloat32(entry)).data;
  const streamed: Float32Array[] = [];
  for await (const piece of streamFloat32(entry, 1000)) streamed.push(piece);
  const joined = Float32Array.from(streamed.flatMap((piece) => [...piece]));
  expect(Buffer.compare(Buffer.from(whole.buffer), Buffer.from(joined.buffer))).toBe(0);
  // The bits as indices into the halves: subnormal 1 is 2^-24, 0x3c00 is 1.
  expect([whole[1], whole[0x3c00], whole[2 ** 20]]).toEqual([2 ** -24, 1, whole[2 ** 20 % 0x7c00]]);
});

test.skipIf(process.platform === "win32")(
  "streamFloat32 closes the file where the caller stops early",
  async () => {
    const entry = await store(tensor("float32", [10], new Float32Array(10)));
    const openFiles = () => readdirSync("/dev/fd").length;
    const before = openFiles();
    for (let round = 0; round < 20; round++) {
      for await (const piece of streamFloat32(entry, 1)) {
        expect(piece).toHaveLength(1);
        break;
      }
    }
    expect(openFiles() - before).toBeLessThan(10);
  },
);

test("readTensorAsFloat32 and streamFloat32 refuse integers", async () => {
  const entry = await store(tensor("int32", [2], Int32Array.of(1, 2)));
  expect((await errorOf(() => readTensorAsFloat32(entry))).code).toBe("tensor_dtype");
  expect((await errorOf(() => streamFloat32(entry, 1)[Symbol.asyncIterator]().next())).code).toBe(
    "tensor_dtype",
  );
  expect([...(await readTensor(entry)).data]).toEqual([1, 2]);
});

test("readTensor: a file that shrank or went since its header was read", async () => {
  const entry = await store(tensor("float32", [10], new Float32Array(10)));
  await truncate(entry.file, entry.offset + 39);
  expect((await errorOf(() => readTensor(entry))).code).toBe("file_corrupt");
  expect((await errorOf(() => readTensor({ ...entry, file: `${entry.file}.gone` }))).code).toBe(
    "file_missing",
  );
});
