import { expect, test } from "vitest";
import {
  cropMask,
  featherMask,
  growMask,
  holeBounds,
  invertMask,
  isHole,
  resizeMask,
  type SoftMask,
} from "./mask.ts";

/** A mask with holes scattered over it, the same each time; some values are soft. */
function scattered(width: number, height: number, share: number): SoftMask {
  let state = 12345;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  const data = Uint8Array.from({ length: width * height }, () =>
    next() < share ? 128 + Math.floor(127 * next()) : next() < 0.1 ? 60 : 0,
  );
  return { width, height, data };
}

const at = ({ width, data }: SoftMask, x: number, y: number) => data[y * width + x]!;

test("growMask takes the largest value within a square, also past the border", () => {
  const mask = scattered(23, 17, 0.02);
  for (const radius of [0, 1, 3, 6, 40]) {
    const grown = growMask(mask, radius);
    for (let y = 0; y < 17; y++) {
      for (let x = 0; x < 23; x++) {
        let largest = 0;
        for (let v = Math.max(0, y - radius); v <= Math.min(16, y + radius); v++) {
          for (let u = Math.max(0, x - radius); u <= Math.min(22, x + radius); u++) {
            largest = Math.max(largest, at(mask, u, v));
          }
        }
        expect(at(grown, x, y), `radius ${radius} at ${x},${y}`).toBe(largest);
      }
    }
  }
});

test("featherMask falls with the distance to the nearest pixel of the hole, and soft values stay", () => {
  const mask = scattered(21, 14, 0.015);
  const holes = Array.from(mask.data.keys()).filter((i) => isHole(mask.data[i]!));
  expect(holes.length).toBeGreaterThan(1);
  let worst = 0;
  const alpha = featherMask(mask, 5);
  for (const [i, seen] of alpha.entries()) {
    const [x, y] = [i % 21, Math.floor(i / 21)];
    const distance = Math.min(...holes.map((hole) => Math.hypot((hole % 21) - x, Math.floor(hole / 21) - y)));
    const wanted = isHole(mask.data[i]!) ? 1 : Math.max(mask.data[i]! / 255, 1 - distance / 6, 0);
    worst = Math.max(worst, Math.abs(seen - wanted));
  }
  expect(worst, `worst difference ${worst}`).toBeLessThan(1e-6);
  const hard = featherMask(mask, 0);
  expect(
    [...hard].every((value, i) => value === (isHole(mask.data[i]!) ? 1 : Math.fround(mask.data[i]! / 255))),
  ).toBe(true);
});

test("holeBounds, cropMask and invertMask agree", () => {
  const data = new Uint8Array(7 * 5);
  data[2 * 7 + 3] = 255;
  data[3 * 7 + 5] = 130;
  data[0] = 127;
  const mask = { width: 7, height: 5, data };
  expect(holeBounds(mask)).toEqual({ left: 3, top: 2, width: 3, height: 2 });
  expect([...cropMask(mask, { left: 3, top: 2, width: 3, height: 2 }).data]).toEqual([255, 0, 0, 0, 0, 130]);
  expect(holeBounds({ ...mask, data: new Uint8Array(35) })).toBeUndefined();
  expect(invertMask(invertMask(mask))).toEqual(mask);
});

test("resizeMask interpolates between pixel centres and holds the borders", () => {
  const mask = { width: 2, height: 1, data: Uint8Array.of(0, 255) };
  expect([...resizeMask(mask, 4, 1)]).toEqual([0, 0.25, 0.75, 1]);
  const same = scattered(9, 6, 0.1);
  expect([...resizeMask(same, 9, 6)]).toEqual(Array.from(same.data, (value) => Math.fround(value / 255)));
});
