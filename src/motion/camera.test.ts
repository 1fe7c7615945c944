import { expect, test } from "vitest";
import { type FlatMotion, flatMap, type SpaceMotion, sampleAt, spaceMap, UNMOVED } from "./camera.ts";
import { block, distances, golden, hills, middleOf } from "./test-support.ts";
import { BORDER_NAMES, BORDERS, warpPicture } from "./warp.ts";

const STILL: SpaceMotion & FlatMotion = {
  ...{ angle: 0, zoom: 1, translationX: 0, translationY: 0, translationZ: 0 },
  ...{ rotationX: 0, rotationY: 0, rotationZ: 0, fieldOfView: 40 },
  ...{ flipTheta: 0, flipPhi: 0, flipGamma: 0, flipFieldOfView: 56 },
};

/** Rounding to a byte, and the table of weights between 1/1024th of pixels. */
const BYTE = 0.5;
const TABLE = 0.15;

test("warpPicture by flatMap and spaceMap equals float64 sampling by PyTorch of independently made matrices", () => {
  const { first, warps } = golden();
  expect(warps.length).toBe(14);
  for (const { map, border, expected, name } of warps) {
    const { worst } = distances(warpPicture(first, [map], border).data, expected);
    expect(worst, `${name}: worst difference`).toBeLessThanOrEqual(BYTE + TABLE);
  }
});

test("warpPicture: no motion gives the same bytes, for all borders and both cameras", () => {
  const picture = hills(37, 23);
  for (const border of BORDER_NAMES) {
    for (const map of [UNMOVED, flatMap(STILL, 37, 23), spaceMap(STILL, 37, 23)]) {
      expect(distances(warpPicture(picture, [map, map], border).data, picture.data).worst, border).toBe(0);
    }
  }
});

test("warpPicture: whole steps move pixels unchanged, and each border fills as it is named", () => {
  const [width, height] = [19, 11];
  const picture = hills(width, height);
  for (const border of BORDER_NAMES) {
    const moved = warpPicture(
      picture,
      [flatMap({ ...STILL, translationX: 4, translationY: -3 }, width, height)],
      border,
    );
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = 3 * (BORDERS[border](y + 3, height) * width + BORDERS[border](x - 4, width));
        const at = 3 * (y * width + x);
        expect([...moved.data.subarray(at, at + 3)], `${border} ${x},${y}`).toEqual([
          ...picture.data.subarray(from, from + 3),
        ]);
      }
    }
  }
});

test("BORDERS: edge, other side, mirror", () => {
  const row = (border: keyof typeof BORDERS) => [-5, -2, -1, 0, 3, 4, 5, 9].map((i) => BORDERS[border](i, 4));
  expect(row("replicate")).toEqual([0, 0, 0, 0, 3, 3, 3, 3]);
  expect(row("wrap")).toEqual([3, 2, 3, 0, 3, 0, 1, 1]);
  expect(row("reflect")).toEqual([1, 2, 1, 0, 3, 2, 1, 3]);
  expect(BORDERS.reflect(7, 1)).toBe(0);
});

test("warpPicture: a half pixel is the cubic mean of four, sub-pixel motion adds up", () => {
  const picture = hills(64, 48);
  const step = flatMap({ ...STILL, translationX: 0.25, translationY: -0.125 }, 64, 48);
  const often = warpPicture(picture, [step, step, step, step], "reflect");
  const once = warpPicture(
    picture,
    [flatMap({ ...STILL, translationX: 1, translationY: -0.5 }, 64, 48)],
    "reflect",
  );
  expect(distances(often.data, once.data).worst).toBe(0);
  const inner = (data: ArrayLike<number>) =>
    Array.from(data).filter((_, i) => {
      const [x, y] = [Math.floor(i / 3) % 64, Math.floor(i / 192)];
      return x > 3 && x < 60 && y > 3 && y < 44;
    });
  const { worst } = distances(inner(once.data), inner(hills(64, 48, 1, -0.5).data));
  expect(worst, "worst difference from the hills drawn there").toBeLessThanOrEqual(1);
});

test("flatMap: zoom and rotation have their point at half the sides, angles turn counter-clockwise", () => {
  const map = flatMap({ ...STILL, zoom: 2, angle: 90 }, 64, 32);
  expect(sampleAt([map], 32, 16).map((value) => Math.round(value * 1e9) / 1e9)).toEqual([32, 16]);
  // What is 4 above the middle comes from 2 to the right of it.
  const [u, v] = sampleAt([map], 32, 12);
  expect(Math.abs(u - 34) + Math.abs(v - 16)).toBeLessThan(1e-9);
});

/** Where a block in the right upper quarter goes: the directions that the presets' names promise. */
test.each([
  ["translationX", 3, -1, 0],
  ["translationY", 3, 0, 1],
  ["translationZ", 8, 1, -1],
  ["rotationY", 1.5, -1, 0],
  ["rotationX", 1.5, 0, 1],
  ["rotationZ", 3, -1, -1],
] as const)(
  "spaceMap: the camera's %s by %d moves what it sees by the signs %d, %d",
  (name, amount, right, down) => {
    const [x, y] = middleOf(block(64, 64, 44, 20));
    const map = spaceMap({ ...STILL, [name]: amount }, 64, 64);
    const [u, v] = middleOf(warpPicture(block(64, 64, 44, 20), [map], "replicate"));
    const sign = (value: number) => (Math.abs(value) < 0.3 ? 0 : Math.sign(value));
    expect([sign(u - x), sign(v - y)], `moved by ${u - x}, ${v - y}`).toEqual([right, down]);
  },
);

test("warpPicture does with what lies behind the camera", () => {
  const picture = hills(16, 16);
  const map = spaceMap({ ...STILL, translationZ: 200, rotationY: 90 }, 16, 16);
  const { data } = warpPicture(picture, [map], "wrap");
  expect(data.length).toBe(picture.data.length);
});
