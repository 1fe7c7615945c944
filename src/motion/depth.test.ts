import { expect, test } from "vitest";
import { depthTrace, type SpaceMotion, sampleAt, spaceMap } from "./camera.ts";
import { distancesOf } from "./depth.ts";
import { moveOn, planAnimation } from "./plan.ts";
import { parsePrompts } from "./prompts.ts";
import { resolveMotion } from "./request.ts";
import { distances, hills } from "./test-support.ts";

const SIZE = { width: 40, height: 30 };
const STILL: SpaceMotion = {
  ...{ translationX: 0, translationY: 0, translationZ: 0 },
  ...{ rotationX: 0, rotationY: 0, rotationZ: 0, fieldOfView: 40 },
};
const plane = (z: number) => new Float32Array(SIZE.width * SIZE.height).fill(z);

function traced(motion: SpaceMotion, depth: Float32Array, x: number, y: number): [number, number] {
  const place = new Float64Array(2);
  depthTrace(motion, SIZE, depth)(x, y, place);
  return [place[0]!, place[1]!];
}

test("depthTrace over the plane at 1 is spaceMap", () => {
  const motion = {
    ...STILL,
    translationX: 3,
    translationY: -2,
    translationZ: 5,
    rotationX: 2,
    rotationY: -3,
    rotationZ: 7,
  };
  const map = spaceMap(motion, SIZE.width, SIZE.height);
  let worst = 0;
  for (const [x, y] of [
    [0, 0],
    [39, 29],
    [20, 15],
    [7, 22],
  ] as const) {
    const [a, b] = [traced(motion, plane(1), x, y), sampleAt([map], x, y)];
    worst = Math.max(worst, Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1]));
  }
  expect(worst, "worst distance in pixels").toBeLessThan(1e-9);
});

test("depthTrace: what is twice as far moves half as much sideways, and as much where the camera turns", () => {
  const moved = (motion: Partial<SpaceMotion>, z: number) =>
    traced({ ...STILL, ...motion }, plane(z), 20, 15)[0] - 20;
  expect(moved({ translationX: 10 }, 2)).toBeCloseTo(moved({ translationX: 10 }, 1) / 2, 9);
  // In the middle, where x is 0 but for half a pixel.
  expect(moved({ rotationY: 1 }, 2) / moved({ rotationY: 1 }, 1)).toBeCloseTo(1, 1);
});

test("distancesOf: the median is at 1, the nearest four times nearer than the furthest, a level picture the plane", () => {
  const inverse = Float32Array.from({ length: 101 }, (_, i) => 5 - 3 * (i / 100));
  const depth = distancesOf(inverse);
  expect(depth[50]).toBeCloseTo(1, 6);
  expect(depth[100]! / depth[0]!).toBeCloseTo(4, 5);
  expect(distancesOf(inverse.map((value) => 70 * value - 9))[20]).toBeCloseTo(depth[20]!, 4);
  expect([...distancesOf(Float32Array.of(3, 3, 3))]).toEqual([1, 1, 1]);
});

test("moveOn takes the picture's depth in 3-D, through several frames at once, and leaves it out in 2-D", () => {
  const picture = hills(SIZE.width, SIZE.height);
  const planOf = (mode: "2D" | "3D") =>
    planAnimation(resolveMotion({ mode, motion: { translationX: 4, rotationZ: 1 } }), parsePrompts("a"), 0);
  const [space, flat] = [planOf("3D"), planOf("2D")];
  const onPlane = moveOn(space, picture, 0, 3);
  expect(
    distances(moveOn(space, { ...picture, depth: plane(1) }, 0, 3).data, onPlane.data).worst,
  ).toBeLessThanOrEqual(1);
  const near = Float32Array.from(plane(1), (_, i) => (i % SIZE.width < 20 ? 0.5 : 1.5));
  expect(
    distances(moveOn(space, { ...picture, depth: near }, 0, 3).data, onPlane.data).worst,
  ).toBeGreaterThan(10);
  expect(moveOn(flat, { ...picture, depth: near }, 0, 3)).toEqual(moveOn(flat, picture, 0, 3));
});
