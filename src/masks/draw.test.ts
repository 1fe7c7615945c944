import { expect, test } from "vitest";
import { drawMask } from "./draw.ts";
import { holeRatio } from "./mask.ts";
import type { AlphaMap, Layer, PlacedObject, Point } from "./spec.ts";
import { disc, picture } from "./test-support.ts";

const draw = (width: number, height: number, ...layers: Layer[]) => drawMask({ width, height, layers });

test("drawMask box covers pixel centres; outside turns it around; layers add up", () => {
  const box = { shape: "box", left: 1, top: 0.6, width: 2.5, height: 2 } as const;
  // Centres at 0.5, 1.5, ...: columns 1 to 2 (3.5 is no longer inside), rows 1 and 2.
  expect(picture(draw(5, 4, box))).toEqual([".....", ".##..", ".##..", "....."]);
  expect(picture(draw(5, 4, { ...box, outside: true }))).toEqual(["#####", "#..##", "#..##", "#####"]);
  const corner = { shape: "box", left: 4, top: 3, width: 9, height: 9 } as const;
  expect(picture(draw(5, 4, box, corner))).toEqual([".....", ".##..", ".##..", "....#"]);
  expect(holeRatio(draw(5, 4))).toBe(0);
});

test("drawMask polygon counts by winding: what an outline goes around twice is inside", () => {
  const twice: Point[] = [0, 1].flatMap(
    () =>
      [
        [1, 1],
        [7, 1],
        [7, 4],
        [1, 4],
      ] as Point[],
  );
  expect(picture(draw(8, 5, { shape: "polygon", points: twice }))).toEqual([
    "........",
    ".######.",
    ".######.",
    ".######.",
    "........",
  ]);
});

/** Each shape against a test of every pixel's centre by its formula. */
const SHAPES: readonly (readonly [string, Layer, (x: number, y: number) => boolean])[] = [
  [
    "ellipse",
    { shape: "ellipse", center: [30.3, 20.1], radii: [22.2, 31.4] },
    (x, y) => ((x - 30.3) / 22.2) ** 2 + ((y - 20.1) / 31.4) ** 2 <= 1,
  ],
  [
    "stroke",
    {
      shape: "stroke",
      points: [
        [10.2, 8.7],
        [50.1, 30.3],
        [12.4, 44.4],
        [-9, 44.4],
      ],
      width: 9.1,
    },
    (x, y) =>
      Math.min(
        segment(x, y, 10.2, 8.7, 50.1, 30.3),
        segment(x, y, 50.1, 30.3, 12.4, 44.4),
        segment(x, y, 12.4, 44.4, -9, 44.4),
      ) <=
      9.1 / 2,
  ],
  ["dot", { shape: "stroke", points: [[20, 20]], width: 13 }, (x, y) => Math.hypot(x - 20, y - 20) <= 6.5],
  [
    "rounded box",
    { shape: "box", left: 5.2, top: 3.3, width: 40, height: 30, radius: 9.7 },
    (x, y) =>
      Math.hypot(Math.max(Math.abs(x - 25.2) - 10.3, 0), Math.max(Math.abs(y - 18.3) - 5.3, 0)) <= 9.7,
  ],
  [
    "triangle",
    {
      shape: "polygon",
      points: [
        [3, 3],
        [60.5, 20],
        [15, 47],
      ],
    },
    (x, y) =>
      side(x, y, 3, 3, 60.5, 20) >= 0 && side(x, y, 60.5, 20, 15, 47) >= 0 && side(x, y, 15, 47, 3, 3) >= 0,
  ],
];

test.each(SHAPES)("drawMask %s equals its formula at every pixel", (_, layer, inside) => {
  const { data } = draw(64, 48, layer);
  const wrong = [...data.keys()].filter(
    (i) => (data[i] === 1) !== inside((i % 64) + 0.5, Math.floor(i / 64) + 0.5),
  );
  expect(wrong).toEqual([]);
  expect(data.includes(1)).toBe(true);
});

function segment(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const t = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2);
  const u = Math.min(Math.max(t, 0), 1);
  return Math.hypot(x - ax - u * (bx - ax), y - ay - u * (by - ay));
}

function side(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  return (bx - ax) * (y - ay) - (by - ay) * (x - ax);
}

const DISC = disc("disc", 30);
const placed: PlacedObject = {
  shape: "object",
  id: "disc",
  flip: false,
  scale: 1,
  center: [100, 50],
  precision: 0,
};
const drawDisc = (change: Partial<PlacedObject>, object: AlphaMap = DISC) =>
  drawMask({ width: 200, height: 100, layers: [{ ...placed, ...change }] }, [object]);

test("drawMask object: level 0 is the outline grown by a fiftieth of the side; later ones are larger and rounder", () => {
  const outline = drawDisc({});
  const wrong = [...outline.data.keys()].filter((i) => {
    const distance = Math.hypot((i % 200) + 0.5 - 60, Math.floor(i / 200) + 0.5 - 50);
    // A disc of 30 grown by 2 pixels; within a pixel of the edge either is right.
    return Math.abs(distance - 32) > 1 && (outline.data[i] === 1) !== distance < 32;
  });
  expect(wrong).toEqual([]);
  const areas = ([0, 1, 2, 3] as const).map((precision) => holeRatio(drawDisc({ precision })));
  expect([...areas].sort((a, b) => a - b)).toEqual(areas);
  expect(holeRatio(drawDisc({ precision: "box" }))).toBe((60 * 60) / 20_000);
  expect(holeRatio(drawDisc({ precision: "box", grow: 1.5 }))).toBe((90 * 90) / 20_000);
});

test("drawMask object: flip mirrors, scale and center move", () => {
  const plain = picture(drawDisc({}));
  expect(picture(drawDisc({ flip: true }))).toEqual(plain.map((row) => [...row].reverse().join("")));
  const boxed = picture(drawDisc({ precision: "box", scale: 0.5, center: [150, 30] }));
  const rows = boxed.flatMap((row, y) => (row.includes("#") ? [y] : []));
  // The disc's box is 60 wide about (60, 50) in a frame of 200x100: half of it about (130, 30).
  expect([rows[0], rows.at(-1), boxed[30]!.indexOf("#"), boxed[30]!.lastIndexOf("#")]).toEqual([
    15, 44, 115, 144,
  ]);
});

test("drawMask object: a line of one pixel survives a reduction by eight", () => {
  const data = new Uint8Array(512 * 512);
  for (let y = 40; y < 470; y++) data[y * 512 + 333] = 255;
  const line = { id: "line", width: 512, height: 512, data };
  const { shape, id, flip, scale, precision } = { ...placed, id: "line" };
  const layers = [{ shape, id, flip, scale, precision, center: [32, 32] as const }];
  const mask = drawMask({ width: 64, height: 64, layers }, [line]);
  const rows = picture(mask).map((row) => row.includes("#"));
  expect(rows.indexOf(true)).toBeLessThanOrEqual(5);
  expect(rows.lastIndexOf(true)).toBeGreaterThanOrEqual(58);
});

test("drawMask object: an unknown id is named", () => {
  expect(() => drawDisc({ id: "other" })).toThrow("its object is not there: other");
});
