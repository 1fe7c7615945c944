import { expect, test } from "vitest";
import { float32, tensor } from "../tensor/mod.ts";
import { checkPicture, pictureFromTensor } from "./picture.ts";

// Two rows of three pixels; channel planes differ, so that a mixed-up axis shows.
const VALUES = [-1, 0, 1, -2, 2, 0.5, 0, 0, 0, 0, 0, 0, -1, -1, -1, 1, 1, 1];

test("pictureFromTensor interleaves channels and clips", () => {
  const picture = pictureFromTensor(float32([3, 2, 3], VALUES), "nearest");
  expect([picture.width, picture.height]).toEqual([3, 2]);
  expect([...picture.data]).toEqual([
    ...[0, 128, 0, 128, 128, 0, 255, 128, 0],
    ...[0, 128, 255, 255, 128, 255, 191, 128, 255],
  ]);
});

test("pictureFromTensor takes a batch of one", () => {
  const single = pictureFromTensor(float32([3, 2, 3], VALUES), "nearest");
  expect(pictureFromTensor(float32([1, 3, 2, 3], VALUES), "nearest")).toEqual(single);
});

test("pictureFromTensor rounds halves to even, or truncates", () => {
  const halves = [126.5, 127.5].map((value) => Math.fround((2 * value) / 255 - 1));
  // Only where float32 arithmetic arrives at the very halves does the case test their rounding.
  expect(halves.map((y) => Math.fround((Math.fround(y + 1) / 2) * 255))).toEqual([126.5, 127.5]);
  const t = float32([3, 1, 2], [...halves, ...halves, ...halves]);
  expect([...pictureFromTensor(t, "nearest").data]).toEqual([126, 126, 126, 128, 128, 128]);
  expect([...pictureFromTensor(t, "truncate").data]).toEqual([126, 126, 126, 127, 127, 127]);
});

test("pictureFromTensor names the first value that is not finite", () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const values = VALUES.with(10, bad);
    expect(() => pictureFromTensor(float32([3, 2, 3], values), "nearest")).toThrow(
      expect.objectContaining({
        code: "result_not_finite",
        message: expect.stringContaining(`channel 1, column 1, row 1: seen ${bad}`),
      }),
    );
  }
});

test("pictureFromTensor refuses other shapes", () => {
  for (const shape of [
    [4, 2, 3],
    [2, 3, 2, 3],
    [3, 6],
    [3, 0, 3],
  ]) {
    const size = shape.reduce((a, b) => a * b, 1);
    expect(() => pictureFromTensor(tensor("float32", shape, new Float32Array(size)), "nearest")).toThrow(
      expect.objectContaining({ code: "tensor_shape" }),
    );
  }
});

test("checkPicture refuses one colour and lets a single other pixel pass", () => {
  const data = new Uint8Array(3 * 5 * 3).fill(7);
  expect(() => checkPicture({ width: 5, height: 3, data })).toThrow(
    expect.objectContaining({
      code: "result_constant",
      message: expect.stringContaining("rgb(7, 7, 7) in all of 5x3 pixels"),
    }),
  );
  checkPicture({ width: 5, height: 3, data: data.with(44, 8) });
});
