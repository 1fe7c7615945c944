import { expect, test } from "vitest";
import { buildGraph, type GraphBuilder, mul, reshape, slice, type Value } from "../graph/mod.ts";
import type { Picture } from "../image/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { openDepth } from "./mod.ts";

/** Red falls from left to right, as things that get further away. */
const PICTURE: Picture = {
  width: 8,
  height: 4,
  data: Uint8Array.from({ length: 8 * 4 * 3 }, (_, i) =>
    i % 3 === 0 ? 210 - 30 * (Math.floor(i / 3) % 8) : 90,
  ),
};

function onnx(
  shape: readonly number[],
  output: (picture: Value, builder: GraphBuilder) => Value,
): Uint8Array {
  const graph = buildGraph((builder) => ({
    depth: output(builder.input("picture", "float32", shape), builder),
  }));
  return encodeOnnx(graph, noWeights);
}

function noWeights(name: string): never {
  throw new Error(`no weight ${name}`);
}

/** The red channel as inverse depth. */
const red = (height: number, width: number, shape: readonly number[]) =>
  onnx([1, 3, height, width], (picture) => reshape(slice(picture, 1, 0, 1), shape));

test.each([
  ["its own size, [1,H,W]", [4, 8], [1, 4, 8]],
  ["its own size, [1,1,H,W]", [4, 8], [1, 1, 4, 8]],
  ["another size", [8, 16], [1, 8, 16]],
] as const)(
  "inverseDepth: a network of %s sees the picture normalised",
  async (_, [height, width], shape) => {
    await using network = await openDepth(red(height, width, shape), "depth.onnx", { threads: 1 });
    const inverse = await network.inverseDepth(PICTURE);
    expect(inverse.length).toBe(32);
    const wanted = (x: number) => ((210 - 30 * x) / 255 - 0.485) / 0.229;
    const inner = [2, 3, 4, 5].map((x) => Math.abs(inverse[8 + x]! - wanted(x)));
    // Enlarging rounds to 8 bits before the network sees it.
    expect(Math.max(...inner), `worst of ${inner}`).toBeLessThan(shape.at(-1) === 8 ? 1e-5 : 0.04);
  },
);

test("openDepth says what it cannot use", async () => {
  const wrong = (seen: string) => ({ code: "model_config", parts: { seen: expect.stringContaining(seen) } });
  const open = (bytes: Uint8Array) => openDepth(bytes, "depth.onnx", { threads: 1 });
  await expect(open(new TextEncoder().encode("no network"))).rejects.toMatchObject({
    code: "model_config",
    parts: { where: "depth.onnx", wanted: "an ONNX file" },
  });
  await expect(open(onnx([1, 1, 4, 8], (picture) => mul(picture, picture)))).rejects.toMatchObject(
    wrong("input picture float32 [1,1,4,8]"),
  );
  await expect(open(onnx([1, 3, 4, 8], (picture) => mul(picture, picture)))).rejects.toMatchObject(
    wrong("outputs depth float32 [1,3,4,8]"),
  );
  await expect(open(onnx([1, 3, 4, 8], (picture) => reshape(picture, [1, 96])))).rejects.toMatchObject(
    wrong("outputs depth float32 [1,96]"),
  );
  const two = buildGraph((builder) => {
    const size = [1, 3, 4, 8];
    return { depth: mul(builder.input("a", "float32", size), builder.input("b", "float32", size)) };
  });
  await expect(open(encodeOnnx(two, noWeights))).rejects.toMatchObject(
    wrong("inputs a float32 [1,3,4,8], b"),
  );
  const infinite = onnx([1, 3, 4, 8], (picture, builder) =>
    mul(
      reshape(slice(picture, 1, 0, 1), [1, 4, 8]),
      builder.constant(float32([1], [Number.POSITIVE_INFINITY])),
    ),
  );
  await using network = await open(infinite);
  await expect(network.inverseDepth(PICTURE)).rejects.toMatchObject({ code: "result_not_finite" });
});
