import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { decodePicture } from "./codec.ts";
import { resizeBicubic } from "./resample.ts";
import { gradient, worstDifference } from "./test-support.ts";

const golden = async (name: string) =>
  decodePicture(await readFile(fileURLToPath(new URL(`../../../golden/pipelines/${name}`, import.meta.url))));

test("resizeBicubic makes bit for bit what Pillow makes", async () => {
  const wanted = await golden("resize-output.png");
  const seen = resizeBicubic(await golden("resize-input.png"), wanted.width, wanted.height);
  const worst = worstDifference(seen.data, wanted.data);
  expect(worst, `worst difference ${worst}`).toBe(0);
});

test("resizeBicubic keeps a picture of the size wanted, and makes larger ones too", () => {
  const picture = gradient(24, 16);
  expect(resizeBicubic(picture, 24, 16)).toBe(picture);
  const large = resizeBicubic(picture, 48, 48);
  expect([large.width, large.height, large.data.length]).toEqual([48, 48, 3 * 48 * 48]);
  // Far from the borders a ramp stays a ramp.
  expect(Math.abs(large.data[3 * (24 * 48 + 24)]! - 4 * 11.75)).toBeLessThanOrEqual(1);
});
