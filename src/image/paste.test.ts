import { expect, test } from "vitest";
import { cropPicture, matchColors, padPicture, pastePicture } from "./paste.ts";
import type { Picture } from "./picture.ts";
import { gradient, worstDifference } from "./test-support.ts";

const shifted = (picture: Picture, shift: (x: number, y: number) => number): Picture => ({
  ...picture,
  data: picture.data.map((value, i) => {
    const pixel = Math.floor(i / 3);
    return value + shift(pixel % picture.width, Math.floor(pixel / picture.width));
  }),
});

/** A hole in the middle of 48x32. */
const HOLE = {
  width: 48,
  height: 32,
  data: Uint8Array.from({ length: 48 * 32 }, (_, i) => {
    const [x, y] = [i % 48, Math.floor(i / 48)];
    return x >= 18 && x < 30 && y >= 10 && y < 22 ? 255 : 0;
  }),
};

test("pastePicture changes nothing where alpha is 0, and takes the patch where it is 1", () => {
  const base = gradient(48, 32);
  const patch = { width: 3, height: 2, data: new Uint8Array(18).fill(200) };
  const pasted = pastePicture(base, patch, [0, 0.5, 1, 0, 1, 0], { left: 45, top: 30 });
  const changed = [...pasted.data.keys()].filter((i) => pasted.data[i] !== base.data[i]);
  const places = new Set(changed.map((i) => Math.floor(i / 3)));
  expect([...places].sort((a, b) => a - b)).toEqual([30 * 48 + 46, 30 * 48 + 47, 31 * 48 + 46]);
  expect([...pasted.data.subarray(3 * (30 * 48 + 47), 3 * (30 * 48 + 48))]).toEqual([200, 200, 200]);
  expect(pasted.data[3 * (30 * 48 + 46)]).toBe(Math.round((4 * 46 + 200) / 2));
});

test("padPicture goes on with the border, and cropPicture undoes it", () => {
  const picture = gradient(6, 4);
  const padded = padPicture(picture, { left: 3, top: 2, width: 12, height: 9 });
  expect(cropPicture(padded, { left: 3, top: 2, width: 6, height: 4 })).toEqual(picture);
  expect([...padded.data.subarray(0, 3)]).toEqual([...picture.data.subarray(0, 3)]);
  expect([...padded.data.subarray(-3)]).toEqual([...picture.data.subarray(-3)]);
});

test("matchColors removes a shift of the whole picture, hole included", () => {
  const original = gradient(48, 32);
  const matched = matchColors(
    shifted(original, () => 17),
    original,
    HOLE,
  );
  const worst = worstDifference(matched.data, original.data);
  expect(worst, `worst difference ${worst}`).toBe(0);
});

test("matchColors follows a shift that changes over the picture, smoothly through the hole", () => {
  const original: Picture = { width: 48, height: 32, data: new Uint8Array(3 * 48 * 32).fill(100) };
  const matched = matchColors(
    shifted(original, (x) => Math.round(x / 2)),
    original,
    HOLE,
  );
  const worst = worstDifference(matched.data, original.data);
  expect(worst, `worst difference ${worst}`).toBeLessThanOrEqual(5);
});

test("matchColors leaves what was drawn where nothing is known", () => {
  const drawn = gradient(48, 32);
  const all = { ...HOLE, data: new Uint8Array(48 * 32).fill(255) };
  expect(
    matchColors(
      drawn,
      shifted(drawn, () => 9),
      all,
    ),
  ).toEqual(drawn);
});
