import { expect, test } from "vitest";
import { parseBytes } from "./bytes.ts";

test.each([
  ["8G", 8 * 2 ** 30],
  ["8g", 8 * 2 ** 30],
  ["8GiB", 8 * 2 ** 30],
  ["8 GB", 8e9],
  ["1.5T", 1.5 * 2 ** 40],
  ["500M", 500 * 2 ** 20],
  ["0G", 0],
])("parseBytes reads %s as %d", (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each(["8", "G", "", "8 G B", "-8G", "8,5G", "8Gb/s", "1e3M", "8GBi", "8 gigabytes", "0x8G"])(
  "parseBytes refuses %j",
  (text) => {
    expect(parseBytes(text)).toBeUndefined();
  },
);
