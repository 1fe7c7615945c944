import { KandinskyError } from "../base/mod.ts";
import type { Picture } from "./picture.ts";

/**
 * All pictures on one white sheet, row by row, each in the middle of a cell as large as the largest picture.
 * `columns` is the side of the smallest square that holds them unless given. Throws `input_missing` for no
 * pictures and `option_invalid` for a column count that is not a positive integer.
 */
export function contactSheet(
  pictures: readonly Picture[],
  columns: number = Math.ceil(Math.sqrt(pictures.length)),
): Picture {
  if (pictures.length === 0) throw new KandinskyError("input_missing", { what: "a sheet needs pictures" });
  if (!Number.isInteger(columns) || columns < 1) {
    throw new KandinskyError("option_invalid", {
      what: "cannot lay out the sheet",
      where: "columns",
      seen: String(columns),
      wanted: "a positive integer",
    });
  }
  const cellWidth = pictures.reduce((most, picture) => Math.max(most, picture.width), 0);
  const cellHeight = pictures.reduce((most, picture) => Math.max(most, picture.height), 0);
  const width = Math.min(columns, pictures.length) * cellWidth;
  const height = Math.ceil(pictures.length / columns) * cellHeight;
  const data = new Uint8Array(3 * width * height).fill(255);
  for (const [index, picture] of pictures.entries()) {
    const left = (index % columns) * cellWidth + Math.floor((cellWidth - picture.width) / 2);
    const top = Math.floor(index / columns) * cellHeight + Math.floor((cellHeight - picture.height) / 2);
    for (let y = 0; y < picture.height; y++) {
      const line = picture.data.subarray(3 * y * picture.width, 3 * (y + 1) * picture.width);
      data.set(line, 3 * ((top + y) * width + left));
    }
  }
  return { width, height, data };
}
