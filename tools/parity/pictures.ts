import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture, type Picture } from "../../src/image/mod.ts";
import { type Context, int32 } from "./context.ts";

/** How far two pictures may be apart, in steps of 8 bits. */
export interface PictureTolerance {
  readonly name: string;
  readonly largest: number;
  readonly mean: number;
}

/** Compares a picture with a stored file; the measure nearer to its limit counts. */
export async function comparePicture(
  { folder, report }: Context,
  file: string,
  seen: Picture,
  { name: tolerance, largest, mean }: PictureTolerance,
): Promise<void> {
  const wanted = await decodePicture(await readFile(join(folder, file)), file);
  if (seen.width !== wanted.width || seen.height !== wanted.height) {
    const sizes = [seen, wanted].map((picture) => int32([2], [picture.width, picture.height])) as [
      ReturnType<typeof int32>,
      ReturnType<typeof int32>,
    ];
    report.compare(`${file} size`, { name: tolerance, abs: 0, rel: 0 }, ...sizes);
    return;
  }
  let worst = 0;
  let at = 0;
  let sum = 0;
  wanted.data.forEach((value, i) => {
    const difference = Math.abs(seen.data[i]! - value);
    sum += difference;
    if (difference > worst) [worst, at] = [difference, i];
  });
  const pixel = Math.floor(at / 3);
  report.add({
    name: file,
    tolerance,
    worst,
    place: [Math.floor(pixel / wanted.width), pixel % wanted.width, at % 3],
    ratio: Math.max(worst / largest, sum / wanted.data.length / mean),
  });
}
