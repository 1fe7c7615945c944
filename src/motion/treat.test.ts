import { expect, test } from "vitest";
import { keyOf, normal } from "../random/mod.ts";
import { drawnFrames, tweenOf } from "./cadence.ts";
import { COLOR_SPACES, colorDistance, matchColors } from "./color.ts";
import { blendAlongFlow, blendLinear, opticalFlow } from "./flow.ts";
import { parsePrompts, promptAt } from "./prompts.ts";
import { SEED_BEHAVIORS, seedOf } from "./seeds.ts";
import { distances, golden, hills } from "./test-support.ts";
import { treatPicture } from "./treat.ts";

const NOTHING = { contrast: 1, amount: 0, kernel: 5, sigma: 1, threshold: 0, noise: 0 };

test("matchColors equals scikit-image's match_histograms", () => {
  const { first, second, rgb, lab } = golden();
  // Bins of 1/4096 against the values themselves, and a byte's rounding.
  expect(distances(matchColors(first, second, "rgb").data, rgb).worst, "rgb").toBeLessThanOrEqual(0.6);
  const found = distances(
    matchColors(first, second, "lab").data,
    lab.map((v) => Math.min(255, Math.max(0, v))),
  );
  expect(found.mean, `lab: mean, worst ${found.worst}`).toBeLessThan(0.4);
  expect(found.worst, "lab: worst").toBeLessThan(3);
});

test("matchColors leaves a picture that is its own reference, and gives the reference's colours", () => {
  const { first, second } = golden();
  for (const space of COLOR_SPACES) {
    const own = distances(matchColors(first, first, space).data, first.data).worst;
    expect(own, `${space}: worst difference`).toBeLessThanOrEqual(1);
    const [before, after] = [first, matchColors(first, second, space)].map((p) => colorDistance(p, second));
    expect(after!, `${space}: ${before} became ${after}`).toBeLessThan(before! / 3);
  }
});

test("treatPicture: contrast and unsharp mask equal NumPy and OpenCV, with and without threshold", () => {
  const { first, sharp, held } = golden();
  const key = keyOf(0);
  const contrast = treatPicture(first, { ...NOTHING, contrast: 1.3 }, key);
  expect(
    distances(
      contrast.data,
      [...first.data].map((v) => Math.min(255, v * 1.3)),
    ).worst,
  ).toBeLessThanOrEqual(0.501);
  const unsharp = { ...NOTHING, amount: 0.5 };
  expect(distances(treatPicture(first, unsharp, key).data, sharp).worst, "unsharp").toBeLessThanOrEqual(
    0.501,
  );
  const kept = treatPicture(first, { ...unsharp, threshold: 6 }, key);
  expect(distances(kept.data, held).worst, "with threshold").toBeLessThanOrEqual(0.501);
  expect(treatPicture(first, NOTHING, key)).toBe(first);
});

test("treatPicture adds noise of the key and of that deviation", () => {
  const gray = { width: 80, height: 80, data: new Uint8Array(3 * 6400).fill(128) };
  const noisy = treatPicture(gray, { ...NOTHING, noise: 0.1 }, keyOf(7));
  const { data } = normal(keyOf(7), [3 * 6400]);
  expect(
    distances(
      noisy.data,
      [...data].map((n) => 128 + 12.75 * n),
    ).worst,
  ).toBeLessThanOrEqual(0.501);
});

test("opticalFlow finds how far a picture has moved", () => {
  for (const [dx, dy] of [
    [0, 0],
    [1.5, -2],
    [-5, 3],
  ] as const) {
    const { x, y } = opticalFlow(hills(96, 80), hills(96, 80, dx, dy));
    const inner = (values: Float32Array) =>
      values.filter((_, i) => i % 96 > 12 && i % 96 < 84 && i > 96 * 12 && i < 96 * 68);
    const [u, v] = [inner(x), inner(y)];
    const off = [...u].map((value, i) => Math.hypot(value - dx, v[i]! - dy)).sort((a, b) => a - b);
    expect(off[Math.floor(off.length / 2)], `median error for ${dx}, ${dy}`).toBeLessThan(0.15);
    expect(off[Math.floor(0.95 * off.length)], `95 % error for ${dx}, ${dy}`).toBeLessThan(0.6);
  }
});

test("blendAlongFlow is nearer to the picture half way than mixing is", () => {
  const [a, half, b] = [hills(96, 80), hills(96, 80, 3, -2), hills(96, 80, 6, -4)];
  const along = distances(blendAlongFlow(a, b, 0.5).data, half.data).mean;
  const linear = distances(blendLinear(a, b, 0.5).data, half.data).mean;
  expect(along, `along ${along}, linear ${linear}`).toBeLessThan(linear / 2);
  expect(blendAlongFlow(a, b, 0)).toBe(a);
  expect(blendAlongFlow(a, b, 1)).toBe(b);
});

test("tweenOf and drawnFrames: Deforum's cadence", () => {
  expect(drawnFrames(7, 3)).toEqual([0, 3, 6]);
  expect(drawnFrames(6, 1)).toEqual([0, 1, 2, 3, 4, 5]);
  const at = (frame: number) => tweenOf(frame, 3);
  expect(at(0)).toEqual({ frame: 0, previous: undefined, next: 0, share: 1 });
  expect(at(2)).toEqual({ frame: 2, previous: undefined, next: 0, share: 1 });
  expect(at(3)).toEqual({ frame: 3, previous: 0, next: 3, share: 1 / 3 });
  expect(at(4)).toEqual({ frame: 4, previous: 0, next: 3, share: 2 / 3 });
  expect(at(5)).toEqual({ frame: 5, previous: undefined, next: 3, share: 1 });
  expect(tweenOf(5, 1)).toEqual({ frame: 5, previous: undefined, next: 5, share: 1 });
});

test("seedOf: each behaviour", () => {
  const first = Object.fromEntries(
    SEED_BEHAVIORS.map((name) => [name, [0, 1, 2, 3, 4].map((i) => seedOf(name, 10, i))]),
  );
  expect(first).toMatchObject({
    iter: [10, 11, 12, 13, 14],
    fixed: [10, 10, 10, 10, 10],
    ladder: [10, 12, 11, 13, 12],
    alternate: [10, 11, 10, 11, 10],
  });
  const random = first["random"]!;
  expect(random[0]).toBe(10);
  expect(new Set(random).size).toBe(5);
  expect(seedOf("random", 10, 3)).toBe(random[3]);
});

test("parsePrompts and promptAt", () => {
  const keys = parsePrompts(
    [
      ["0", "a fox"],
      ["10", "a wolf --neg snow"],
      ["20", "a wolf"],
    ],
    "rain",
  );
  expect(promptAt(keys, 5, false)).toEqual({ prompt: "a fox", negative: "rain" });
  expect(promptAt(keys, 5, true)).toEqual({
    prompt: "a fox",
    negative: "rain",
    next: { prompt: "a wolf", weight: 0.5 },
  });
  expect(promptAt(keys, 10, true)).toEqual({ prompt: "a wolf", negative: "snow" });
  expect(promptAt(keys, 15, true)).toEqual({ prompt: "a wolf", negative: "snow" });
  expect(promptAt(keys, 99, true)).toEqual({ prompt: "a wolf", negative: "rain" });
  expect(promptAt(parsePrompts("one"), 3, true)).toEqual({ prompt: "one", negative: undefined });
  expect(promptAt(parsePrompts([["5", "late"]]), 0, true)).toEqual({ prompt: "late", negative: undefined });
});

test.each([
  [
    [
      ["0", "a"],
      ["9", "b"],
      ["4", "c"],
    ],
    "item 3: seen frame 4 behind frame 9",
  ],
  [
    [
      ["0", "a"],
      ["0", "b"],
    ],
    "item 2: seen frame 0 behind frame 0",
  ],
  [[["zero", "a"]], 'item 1: seen "zero", wanted the number of a frame'],
  [[], "an animation needs a prompt"],
] as const)("parsePrompts points at the mistake in %j", (items, text) => {
  expect(() => parsePrompts(items as readonly (readonly [string, string])[])).toThrowError(text);
});
