import { expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { UNMOVED } from "./camera.ts";
import { colorDrift, meanDifference, measuredScale, movedDifference } from "./measure.ts";
import { distances, hills } from "./test-support.ts";
import { EASING_NAMES, surround, type ZoomCourse, zoomPlaces, zoomView } from "./zoom.ts";

const [WIDTH, HEIGHT] = [96, 80];
const RATIO = 1.5;

/** A world with detail at every scale, seen from so far that `zoom` times as much is in the picture. */
function world(zoom: number): Picture {
  const data = new Uint8Array(3 * WIDTH * HEIGHT);
  for (let y = 0, at = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++, at += 3) {
      const [u, v] = [zoom * (x + 0.5 - WIDTH / 2), zoom * (y + 0.5 - HEIGHT / 2)];
      const radius = Math.log(Math.hypot(u, v) + 2);
      const angle = Math.atan2(v, u);
      data[at] = Math.round(128 + 70 * Math.sin(4 * radius + 3 * angle));
      data[at + 1] = Math.round(128 + 60 * Math.cos(5 * radius - 2 * angle));
      data[at + 2] = Math.round(128 + 80 * Math.sin(3 * radius) * Math.cos(angle));
    }
  }
  return { width: WIDTH, height: HEIGHT, data };
}

const keys = [0, 1, 2, 3].map((n) => world(RATIO ** n));
const view = (place: number) => zoomView(place, RATIO, (key) => keys[key]!);
const COURSE: ZoomCourse = { keys: 4, tweens: 10, easing: "linear", hold: 0, loop: false, direction: "out" };

test("zoomPlaces: ends, easing, holding, looping and both directions", () => {
  const out = zoomPlaces({ ...COURSE, keys: 3, tweens: 2 });
  expect(out).toEqual([0, 0.5, 1, 1.5, 2]);
  expect(zoomPlaces({ ...COURSE, keys: 3, tweens: 2, direction: "in" })).toEqual([2, 1.5, 1, 0.5, 0]);
  expect(zoomPlaces({ ...COURSE, keys: 2, tweens: 2, hold: 1 })).toEqual([0, 0, 0.5, 1, 1]);
  expect(zoomPlaces({ ...COURSE, keys: 2, tweens: 2, loop: true })).toEqual([0, 0.5, 1, 0.5]);
  for (const easing of EASING_NAMES) {
    const places = zoomPlaces({ ...COURSE, easing });
    expect([places[0], places.at(-1), places.length]).toEqual([0, 3, 31]);
    expect(
      places.every((place, i) => i === 0 || place > places[i - 1]!),
      easing,
    ).toBe(true);
  }
  const steps = zoomPlaces({ ...COURSE, easing: "in-out" }).map((place, i, all) => place - (all[i - 1] ?? 0));
  expect(steps[1]!).toBeLessThan(steps[15]! / 3);
  expect(steps[30]!).toBeLessThan(steps[15]! / 3);
});

test("zoomView shows key frames themselves, and between them what the world looks like there", () => {
  for (const [n, key] of keys.entries()) {
    // The middle holds the key frames before it, which know it better.
    const { worst, mean } = distances(view(n).data, key.data);
    if (n === 0) expect(worst).toBe(0);
    expect(mean, `key ${n}`).toBeLessThan(1);
  }
  for (const place of [0.1, 0.5, 0.9, 1.01, 1.99, 2.5]) {
    const { mean } = distances(view(place).data, world(RATIO ** place).data);
    expect(mean, `at ${place}`).toBeLessThan(2.5);
  }
});

test("zoomView: the scale from frame to frame is the one asked for, within 1 %, for every easing", () => {
  for (const easing of EASING_NAMES) {
    const places = zoomPlaces({ ...COURSE, easing });
    const frames = places.map(view);
    for (let i = 1; i < frames.length; i++) {
      const asked = RATIO ** (places[i]! - places[i - 1]!);
      const scale = measuredScale(frames[i - 1]!, frames[i]!);
      expect(Math.abs(scale / asked - 1), `${easing}, frame ${i}: ${scale} for ${asked}`).toBeLessThan(0.01);
    }
  }
});

test("zoomView: key frames are no jumps", () => {
  const places = zoomPlaces(COURSE);
  const frames = places.map(view);
  const steps = frames.slice(1).map((frame, i) => meanDifference(frame, frames[i]!));
  const median = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)]!;
  const atKeys = [9, 10, 19, 20].map((i) => steps[i]!);
  expect(Math.max(...atKeys), `median ${median}, at keys ${atKeys}`).toBeLessThan(1.3 * median);
});

test("surround: the picture gets smaller in the middle, the rest is a hole of mid grey", () => {
  const { picture, hole } = surround(keys[0]!, RATIO);
  const side = (hole.filter((value) => value === 0).length / (WIDTH * HEIGHT)) ** 0.5;
  expect(side * RATIO).toBeCloseTo(1, 1);
  for (let i = 0; i < hole.length; i++) {
    const [a, b] = [picture.data.subarray(3 * i, 3 * i + 3), keys[1]!.data.subarray(3 * i, 3 * i + 3)];
    if (hole[i] === 255) expect([...a]).toEqual([128, 128, 128]);
    else if (i % 7 === 0) expect(distances(a, b).worst, `pixel ${i}`).toBeLessThan(40);
  }
});

test("movedDifference, colorDrift and measuredScale of pictures that are known", () => {
  const still = hills(WIDTH, HEIGHT);
  expect(movedDifference(still, still, UNMOVED)).toBe(0);
  expect(colorDrift([still, still])).toEqual([0, 0]);
  expect(measuredScale(world(1), world(1.02))).toBeCloseTo(1.02, 2);
  const red = {
    ...still,
    data: still.data.map((value, i) => (i % 3 === 0 ? Math.min(255, value + 30) : value)),
  };
  expect(colorDrift([still, red])[1]).toBeGreaterThan(5);
});
