import { expect, test } from "vitest";
import type { ReadPicture } from "../image/mod.ts";
import { type HoleSettings, makeHole } from "./hole.ts";

/** 12x8 pixels in green but for a red square of 4x4 at (2, 3). */
const IMAGE: ReadPicture = {
  picture: {
    width: 12,
    height: 8,
    data: Uint8Array.from({ length: 3 * 12 * 8 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % 12, Math.floor(i / 36)];
      const red = x >= 2 && x < 6 && y >= 3 && y < 7;
      return i % 3 === (red ? 0 : 1) ? 200 : 20;
    }),
  },
};

const grey = (width: number, height: number, value: (x: number, y: number) => number): ReadPicture => ({
  picture: {
    width,
    height,
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return value(pixel % width, Math.floor(pixel / width));
    }),
  },
});

const FILE = { from: "file", file: "mask.png" } as const;

/** The hole as rows of # and dots. */
function shown(
  settings: Partial<HoleSettings> & Pick<HoleSettings, "mask">,
  file?: ReadPicture,
  image = IMAGE,
) {
  const { mask, notices } = makeHole({ invert: false, grow: 0, ...settings }, image, file, "mask.png");
  const rows = Array.from({ length: mask.height }, (_, y) =>
    Array.from(mask.data.subarray(y * mask.width, (y + 1) * mask.width), (v) => (v >= 128 ? "#" : ".")).join(
      "",
    ),
  );
  return { rows, notices };
}

const SQUARE = [
  "............",
  "............",
  "............",
  "..####......",
  "..####......",
  "..####......",
  "..####......",
  "............",
];

test("makeHole: every kind of mask says the same square", () => {
  const white = grey(12, 8, (x, y) => (SQUARE[y]![x] === "#" ? 255 : 0));
  const alpha = Uint8Array.from(SQUARE.join(""), (mark) => (mark === "#" ? 0 : 255));
  const holes = {
    white: shown({ mask: FILE }, white),
    "transparent file": shown({ mask: FILE }, { ...IMAGE, alpha }),
    "transparent picture": shown({ mask: { from: "alpha" } }, undefined, { ...IMAGE, alpha }),
    box: shown({ mask: { from: "box", left: 2, top: 3, width: 4, height: 4 } }),
    polygon: shown({
      mask: {
        from: "polygon",
        points: [
          [2, 3],
          [6, 3],
          [6, 7],
          [2, 7],
        ],
      },
    }),
    color: shown({ mask: { from: "color", color: "#c81414", tolerance: 10 } }),
    inverted: shown({ mask: { from: "color", color: "#14c814", tolerance: 0 }, invert: true }),
    grown: shown({ mask: { from: "box", left: 3, top: 4, width: 2, height: 2 }, grow: 1 }),
  };
  for (const [name, { rows, notices }] of Object.entries(holes)) {
    expect(rows, name).toEqual(SQUARE);
    expect(notices).toEqual([]);
  }
});

test("makeHole draws strokes through their points", () => {
  const points: [number, number][] = [
    [1, 1.5],
    [11, 1.5],
  ];
  const { rows } = shown({ mask: { from: "strokes", strokes: [{ points, width: 2.5 }] } });
  expect(rows[1]!.slice(1, 11)).toBe("##########");
  expect(rows[4]).toBe("............");
});

test("makeHole resizes a mask of another size and tells it, or refuses it", () => {
  const small = grey(6, 4, (x) => (x < 3 ? 255 : 0));
  const { rows, notices } = shown({ mask: FILE }, small);
  expect(rows.every((row) => row === "######......")).toBe(true);
  expect(notices).toEqual([{ notice: "mask-resized", from: "6x4", to: "12x8" }]);
  expect(() => shown({ mask: FILE, strict: true }, small)).toThrow(/another size.*seen 6x4, wanted 12x8/);
});

test.each([
  ["an empty mask", { mask: FILE }, grey(12, 8, () => 0), /the mask is empty.*mask\.png/],
  ["a full mask", { mask: FILE }, grey(12, 8, () => 255), /covers the whole picture.*kandinsky edit/],
  ["a mask of one grey", { mask: FILE }, grey(12, 8, () => 90), /no contrast.*grey values 90 to 90/],
  ["a mask of two like greys", { mask: FILE }, grey(12, 8, (x) => 120 + (x % 2) * 20), /no contrast/],
  [
    "a box beside the picture",
    { mask: { from: "box", left: 20, top: 0, width: 5, height: 5 } },
    undefined,
    /empty/,
  ],
  ["a colour nobody has", { mask: { from: "color", color: "#0000ff", tolerance: 5 } }, undefined, /empty/],
  [
    "a picture without transparency",
    { mask: { from: "alpha" } },
    undefined,
    /no transparent part.*--mask FILE/,
  ],
] as const)("makeHole refuses %s", (_, settings, file, message) => {
  expect(() => shown(settings, file)).toThrow(message);
});
