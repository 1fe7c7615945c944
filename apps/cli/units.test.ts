import { expect, test } from "vitest";
import { formatBytes, formatDuration } from "./units.ts";

/** Languages put spaces of several kinds between number and unit. */
const plain = (text: string) => text.replaceAll(/[\u00a0\u202f]/g, " ");

test("formatBytes gives three digits in units of a thousand", () => {
  expect([0, 999, 1234, 51_700_000, 12_300_000_000].map((n) => plain(formatBytes(n, "en")))).toEqual([
    "0 byte",
    "999 byte",
    "1.23 kB",
    "51.7 MB",
    "12.3 GB",
  ]);
  expect(plain(formatBytes(1.62e9, "ru"))).toBe("1,62 ГБ");
});

test("formatDuration is as exact as a person wants to know", () => {
  expect([0.2, 59, 60, 599, 600, 3599, 7500].map((n) => plain(formatDuration(n, "en")))).toEqual([
    "1 sec",
    "59 sec",
    "1 min 0 sec",
    "9 min 59 sec",
    "10 min",
    "59 min",
    "2 hr 5 min",
  ]);
  expect(plain(formatDuration(845, "ru"))).toBe("14 мин");
});
