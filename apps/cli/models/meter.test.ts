import { expect, test } from "vitest";
import { startMeter } from "./meter.ts";

test("startMeter tells the speed of late and the time left", () => {
  const meter = startMeter(0);
  expect(meter(0, 1000, 0)).toEqual({ bytesPerSecond: 0, secondsLeft: undefined });
  expect(meter(100, 900, 1)).toEqual({ bytesPerSecond: 100, secondsLeft: 9 });
  for (let at = 2; at <= 10; at++) meter(100 * at, 1000 - 100 * at, at);
  // Three times as fast from now on: the first ten seconds are forgotten.
  for (let at = 11; at <= 30; at++) meter(1000 + 300 * (at - 10), 0, at);
  const { bytesPerSecond } = meter(1000 + 300 * 21, 600, 31);
  expect(bytesPerSecond).toBeCloseTo(300, 9);
});
