import { expect, test } from "vitest";
import { errorOf } from "./test-support.ts";
import { findDirectory, parseDirectory } from "./zip.ts";

const NAME = "a/data/0";
const SIZE = 5_000_000_000;
const HEADER = 6_000_000_000;
const OFFSET = 12_000_000_000;

/** Little-endian numbers by their widths in bytes. */
function bytesOf(...fields: readonly (readonly [value: number, width: 2 | 4 | 8])[]): Buffer {
  return Buffer.concat(
    fields.map(([value, width]) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(value));
      return bytes.subarray(0, width);
    }),
  );
}

/** One record of the central directory with its sizes and place in a zip64 field. */
function record64(): Buffer {
  const extra = bytesOf([0x4246, 2], [2, 2], [0, 2], [1, 2], [24, 2], [SIZE, 8], [SIZE, 8], [HEADER, 8]);
  const full = 0xffffffff;
  return Buffer.concat([
    bytesOf([0x02014b50, 4], [45, 2], [45, 2], [0x0808, 2], [0, 2], [0, 4], [0, 4], [full, 4], [full, 4]),
    bytesOf([NAME.length, 2], [extra.length, 2], [0, 2], [0, 2], [0, 2], [0, 4], [full, 4]),
    Buffer.from(NAME),
    extra,
  ]);
}

/** The end of a zip64 archive whose directory has `size` bytes. */
function end64(size: number, count: number): Buffer {
  return Buffer.concat([
    bytesOf([0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [count, 8], [count, 8]),
    bytesOf([size, 8], [OFFSET, 8]),
    bytesOf([0x07064b50, 4], [0, 4], [OFFSET + size, 8], [1, 4]),
    bytesOf(
      [0x06054b50, 4],
      [0, 2],
      [0, 2],
      [0xffff, 2],
      [0xffff, 2],
      [0xffffffff, 4],
      [0xffffffff, 4],
      [0, 2],
    ),
  ]);
}

test("findDirectory and parseDirectory read zip64", () => {
  const central = record64();
  const end = end64(central.length, 1);
  const directory = findDirectory(end, OFFSET + central.length + end.length, "big.pt");
  expect(directory).toEqual({ offset: OFFSET, size: central.length, count: 1 });
  expect(parseDirectory(central, directory, "big.pt")).toEqual([{ name: NAME, size: SIZE, header: HEADER }]);
});

test("findDirectory refuses ends that disagree", async () => {
  const end = end64(100, 1);
  const seen = async (size: number) => (await errorOf(() => findDirectory(end, size, "x"))).parts.seen;
  expect(await seen(OFFSET + 101 + end.length)).toBe("a broken zip64 end record");
  const many = end64(100, 300_000);
  const error = await errorOf(() => findDirectory(many, OFFSET + 100 + many.length, "x"));
  expect(error.parts.seen).toBe("300000 records in a directory of 100 bytes");
  expect((await errorOf(() => findDirectory(end.subarray(0, 90), 90, "x"))).parts.seen).toBe("no end record");
});

test("parseDirectory refuses sizes that no zip64 field gives, and records past the directory", async () => {
  const central = record64();
  const place = { offset: OFFSET, size: central.length, count: 1 };
  const cut = Buffer.from(central);
  cut.writeUInt16LE(8, central.length - 26);
  expect((await errorOf(() => parseDirectory(cut, place, "x"))).parts.seen).toContain("without a size");
  const early = { ...place, offset: HEADER + SIZE };
  expect((await errorOf(() => parseDirectory(central, early, "x"))).parts.wanted).toContain("before byte");
  const two = { ...place, count: 2 };
  expect((await errorOf(() => parseDirectory(central, two, "x"))).parts.wanted).toContain("2, as the end");
});
