import { expect, test } from "vitest";
import { float32, tensor, zeros } from "./tensor.ts";
import { transposed } from "./transpose.ts";

test("transposed moves every value to its place", () => {
  const shape = [2, 3, 4, 5];
  const t = float32(
    shape,
    Float32Array.from({ length: 120 }, (_, i) => i),
  );
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [0, 2, 1, 3],
    [1, 3, 0, 2],
  ]) {
    const result = transposed(t, order);
    expect(result.shape).toEqual(order.map((axis) => shape[axis]));
    for (let i = 0; i < 120; i++) {
      const place = [0, 0, 0, 0];
      let rest = i;
      for (let axis = 3; axis >= 0; axis--) {
        place[order[axis]!] = rest % result.shape[axis]!;
        rest = Math.floor(rest / result.shape[axis]!);
      }
      const [a, b, c, d] = place as [number, number, number, number];
      expect(result.data[i], `order ${order}, place ${place}`).toBe(((a * 3 + b) * 4 + c) * 5 + d);
    }
  }
});

test("transposed keeps the element type, and empty and one-value tensors", () => {
  const bits = tensor("float16", [1, 2], Uint16Array.of(0x3c00, 0x4000));
  expect(transposed(bits, [1, 0])).toEqual(tensor("float16", [2, 1], bits.data));
  expect(transposed(zeros("int64", []), []).data.length).toBe(1);
  expect(transposed(zeros("float32", [0, 3]), [1, 0]).shape).toEqual([3, 0]);
});
