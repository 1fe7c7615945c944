import { expect, test } from "vitest";
import { size } from "../values.ts";
import { formatOf, requestOf } from "./options.ts";
import { planOutput } from "./output.ts";

const MODEL = { unit: 64, side: 1024 };

test.each([
  [1, { width: 1024, height: 1024 }],
  [16 / 9, { width: 1344, height: 768 }],
  [9 / 16, { width: 768, height: 1344 }],
  [100, { width: 10240, height: 128 }],
])("requestOf keeps the model's area in shape %d, in whole units", (ratio, wanted) => {
  expect(requestOf(["x"], { ratio }, MODEL)).toMatchObject(wanted);
});

test("requestOf takes the area of the size, never less than a unit, and leaves out what is not said", () => {
  const shaped = requestOf(["x"], { ratio: 100, size: { width: 128, height: 128 } }, MODEL);
  expect(shaped).toEqual({ prompt: ["x"], width: 1280, height: 64 });
  expect(requestOf(["a", "b"], { seed: 0, guidance: 0 }, MODEL)).toEqual({
    prompt: ["a", "b"],
    seed: 0,
    guidance: 0,
  });
});

test("size reads the signs that people write between width and height", () => {
  for (const raw of ["512x768", "512X768", "512×768", "512х768", "512 * 768"]) {
    expect(size("--size")(raw), raw).toEqual({ width: 512, height: 768 });
  }
  for (const raw of ["512", "0x64", "-64x64", "64x64x3", "1.5x2"])
    expect(() => size("--size")(raw), raw).toThrow();
});

test("formatOf follows --format, then the file name, then PNG", () => {
  expect(formatOf(undefined, undefined)).toBe("png");
  expect(formatOf(undefined, "a.JPG")).toBe("jpeg");
  expect(formatOf("webp", "a")).toBe("webp");
  expect(formatOf("jpg", "a.jpeg")).toBe("jpeg");
});

test("planOutput tells several pictures apart, and one not", () => {
  const pattern = (output: string | undefined, count: number) =>
    planOutput(output, "png", false, count).pattern;
  expect(pattern(undefined, 1)).toBe("kandinsky-{number}.png");
  expect(pattern(undefined, 3)).toBe("kandinsky-{number}.png");
  expect(pattern("a.png", 1)).toBe("a.png");
  expect(pattern("a.png", 3)).toBe("a-{index}.png");
  expect(pattern("a-{seed}", 3)).toBe("a-{seed}.png");
  expect(pattern("v1.5", 1)).toBe("v1.5.png");
});
