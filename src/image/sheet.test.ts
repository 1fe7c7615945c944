import { expect, test } from "vitest";
import type { Picture } from "./picture.ts";
import { contactSheet } from "./sheet.ts";

function filled(width: number, height: number, value: number): Picture {
  return { width, height, data: new Uint8Array(3 * width * height).fill(value) };
}

function redAt(picture: Picture, x: number, y: number): number {
  return picture.data[3 * (y * picture.width + x)]!;
}

test("contactSheet lays pictures out row by row and leaves free cells white", () => {
  const sheet = contactSheet([1, 2, 3].map((value) => filled(5, 3, value)));
  expect([sheet.width, sheet.height]).toEqual([10, 6]);
  expect([redAt(sheet, 4, 2), redAt(sheet, 5, 0), redAt(sheet, 0, 3), redAt(sheet, 5, 3)]).toEqual([
    1, 2, 3, 255,
  ]);
});

test("contactSheet keeps a sheet as narrow as its pictures", () => {
  const sheet = contactSheet([filled(5, 3, 1), filled(5, 3, 2)], 7);
  expect([sheet.width, sheet.height]).toEqual([10, 3]);
});

test("contactSheet puts a smaller picture into the middle of its cell", () => {
  const sheet = contactSheet([filled(6, 8, 1), filled(2, 4, 2)], 2);
  const inside = [redAt(sheet, 8, 2), redAt(sheet, 9, 5)];
  const around = [redAt(sheet, 7, 2), redAt(sheet, 10, 2), redAt(sheet, 8, 1), redAt(sheet, 8, 6)];
  expect([inside, around]).toEqual([
    [2, 2],
    [255, 255, 255, 255],
  ]);
});

test("contactSheet refuses no pictures and a broken column count", () => {
  expect(() => contactSheet([])).toThrow(expect.objectContaining({ code: "input_missing" }));
  for (const columns of [0, 1.5, Number.NaN]) {
    expect(() => contactSheet([filled(1, 1, 0)], columns)).toThrow(
      expect.objectContaining({ code: "option_invalid" }),
    );
  }
});
