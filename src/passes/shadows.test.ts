import { expect, test } from "vitest";
import { buildGraph, conv2d, matmul, nodesOf, reshape, silu } from "../graph/mod.ts";
import { cast, type Tensor, tensor } from "../tensor/mod.ts";
import { shadowLayers } from "./mod.ts";
import { evaluate, randomFeeds, randomTensor, worstDifference } from "./test-support.ts";

test("shadowLayers measures every layer on its own input, and leaves the results as they are", () => {
  const graph = buildGraph((b) => {
    const x = b.input("x", "float32", [2, 8, 3, 5]);
    const y = conv2d(x, b.parameter("first", [6, 8, 3, 3]), b.parameter("bias", [6]), {
      padding: [1, 1, 1, 1],
    });
    const weight = reshape(b.parameter("second", [4, 6]), [4, 6, 1, 1]);
    const z = conv2d(silu(y), weight);
    b.tap("first layer", y);
    return { z, plain: matmul(reshape(z, [30, 4]), b.parameter("kept", [7, 4]), { transposeB: true }) };
  });
  const { graph: shadowed, layers } = shadowLayers(graph, (weight) =>
    weight === "kept" ? [] : [`half/${weight}`, `same/${weight}`],
  );
  expect(layers.map(({ weight }) => weight)).toEqual(["first", "second"]);
  const shapes = new Map(
    nodesOf(graph, "parameter").map(({ attributes, shape }) => [attributes.name, shape]),
  );
  // Half of a weight makes an error of half the result, but for the bias.
  const weights = (name: string): Tensor => {
    const [way, plain] = name.includes("/") ? (name.split("/") as [string, string]) : ["same", name];
    const value = randomTensor(plain, shapes.get(plain)!);
    return way === "half"
      ? tensor(
          "float64",
          value.shape,
          value.data.map((x) => x / 2),
        )
      : value;
  };
  const feeds = randomFeeds(graph);
  const seen = evaluate(shadowed, feeds, weights);
  const squares = cast(seen.get("squares")!, "float64").data;
  const results = new Map([...seen].filter(([name]) => name !== "squares"));
  expect(worstDifference(results, evaluate(graph, feeds, weights))).toBe(0);
  expect(squares.length).toBe(6);
  const z = cast(seen.get("z")!, "float64").data.reduce((sum, value) => sum + value * value, 0);
  expect(squares[3]! / z).toBeCloseTo(1, 12);
  expect(squares[4]! / z).toBeCloseTo(0.25, 12);
  expect([squares[2], squares[5]]).toEqual([0, 0]);
  expect(squares[1]! / squares[0]!).toBeGreaterThan(0.1);
});
