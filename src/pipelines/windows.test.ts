import { expect, test } from "vitest";
import { foldIn, keyOf, normal } from "../random/mod.ts";
import { coverMap, cropWindow, mergeWindows, windowsWithHole } from "./windows.ts";

test.each([
  [
    { width: 256, height: 16 },
    { width: 16, height: 16, overlap: 0.5, wrap: false },
  ],
  [
    { width: 250, height: 40 },
    { width: 16, height: 24, overlap: 0.25, wrap: true },
  ],
  [
    { width: 17, height: 31 },
    { width: 16, height: 16, overlap: 0.125, wrap: false },
  ],
  [
    { width: 16, height: 8 },
    { width: 16, height: 16, overlap: 0.5, wrap: true },
  ],
  [
    { width: 9, height: 50 },
    { width: 16, height: 16, overlap: 0.875, wrap: false },
  ],
])(
  "coverMap covers all of %j with windows that overlap enough, and merging their crops gives it back",
  (map, cover) => {
    const windows = coverMap(map, cover);
    const values = normal(keyOf(3), [1, 2, map.height, map.width]);
    const parts = windows.map((window) => cropWindow(values, 0, window));
    const merged = mergeWindows(parts, windows, map);
    const worst = merged.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - values.data[i]!)),
      0,
    );
    expect(worst, `worst difference ${worst}`).toBeLessThan(1e-6);
    const columns = [...new Set(windows.map(({ x }) => x))];
    for (const [i, x] of columns.entries()) {
      const next = columns[i + 1];
      if (next === undefined) continue;
      expect(next - x).toBeLessThanOrEqual(Math.max(1, Math.ceil(cover.width * (1 - cover.overlap))));
    }
    for (const { x, y, width, height } of windows) {
      expect([width, height]).toEqual([Math.min(cover.width, map.width), Math.min(cover.height, map.height)]);
      expect(y + height).toBeLessThanOrEqual(map.height);
      if (!cover.wrap) expect(x + width).toBeLessThanOrEqual(map.width);
    }
  },
);

test("mergeWindows passes from one window over into the next, and is 0 where there is none", () => {
  const part = (value: number) => ({
    dtype: "float32" as const,
    shape: [1, 1, 1, 8],
    data: new Float32Array(8).fill(value),
  });
  const windows = [0, 4].map((x) => ({ x, y: 0, width: 8, height: 1 }));
  const { data } = mergeWindows([part(0), part(1)], windows, { width: 14, height: 1 });
  expect([...data.subarray(0, 4), ...data.subarray(8)]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 0, 0]);
  expect([...data.subarray(4, 8)].map((value) => value.toFixed(3))).toEqual([
    "0.125",
    "0.375",
    "0.625",
    "0.875",
  ]);
});

test("windowsWithHole leaves out windows with nothing to draw", () => {
  const hole = { ...normal(foldIn(keyOf(0), 1), [1, 1, 4, 32]), data: new Float32Array(128) };
  hole.data[9] = 1;
  const windows = coverMap({ width: 32, height: 4 }, { width: 8, height: 4, overlap: 0.5, wrap: false });
  expect(windowsWithHole(windows, hole).map(({ x }) => x)).toEqual([4, 8]);
});
