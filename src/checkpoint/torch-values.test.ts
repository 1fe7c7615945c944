import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "./test-support.ts";
import type { TorchEntry } from "./torch.ts";
import { readTorchTensor, streamTorchTensor } from "./torch-values.node.ts";

/** A file of the numbers 0, 1, 2 and so on, after 3 bytes of something else, and a view of it. */
async function viewOfCounting(
  count: number,
  first: number,
  shape: readonly number[],
  strides: readonly number[],
): Promise<TorchEntry> {
  const file = join(await temporaryFolder(), "counting.bin");
  const numbers = Int32Array.from({ length: count }, (_, i) => i);
  await writeFile(file, Buffer.concat([Buffer.from("abc"), Buffer.from(numbers.buffer)]));
  const byteLength = 4 * shape.reduce((a, b) => a * b, 1);
  return { name: "t", dtype: "int32", shape, strides, file, offset: 3 + 4 * first, byteLength };
}

test("streamTorchTensor: a transposed view over several pieces and windows", async () => {
  const [rows, columns] = [2500, 2300];
  const entry = await viewOfCounting(rows * columns, 0, [rows, columns], [1, rows]);
  let at = 0;
  let pieces = 0;
  let wrong = 0;
  for await (const piece of streamTorchTensor(entry)) {
    pieces++;
    const values = new Int32Array(piece.slice().buffer);
    for (const value of values) {
      if (value !== Math.floor(at / columns) + (at % columns) * rows) wrong++;
      at++;
    }
  }
  expect([at, pieces, wrong]).toEqual([rows * columns, 2, 0]);
});

test("readTorchTensor: gaps, repeats, steps of an axis of one, and nothing", async () => {
  const read = async (...view: Parameters<typeof viewOfCounting>) =>
    Array.from((await readTorchTensor(await viewOfCounting(...view))).data as Int32Array);
  expect(await read(20, 1, [2, 3], [9, 2])).toEqual([1, 3, 5, 10, 12, 14]);
  expect(await read(20, 4, [2, 2, 2], [0, 1, 0])).toEqual([4, 4, 5, 5, 4, 4, 5, 5]);
  expect(await read(20, 2, [1, 3], [77, 1])).toEqual([2, 3, 4]);
  expect(await read(20, 19, [], [])).toEqual([19]);
  expect(await read(20, 20, [0, 4], [4, 1])).toEqual([]);
});
