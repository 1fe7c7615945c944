import { expect, test } from "vitest";
import { add, buildGraph, concat, GraphBuilder, mul, reshape, resizeNearest, slice, sub } from "./mod.ts";
import { failure } from "./test-support.ts";

test("GraphBuilder.apply gives one node for equal operations on equal inputs", () => {
  const builder = new GraphBuilder();
  const x = builder.input("x", "float32", [2, 3]);
  expect(add(x, x).id).toBe(add(x, x).id);
  expect(slice(x, 1, 0, 2).id).toBe(slice(x, 1, 0, 2).id);
  expect(builder.finish().nodes.length).toBe(3);
});

test("GraphBuilder.apply keeps operations apart that differ in operation, order or attributes", () => {
  const builder = new GraphBuilder();
  const [x, y] = [builder.input("x", "float32", [2, 3]), builder.input("y", "float32", [2, 3])];
  const ids = [sub(x, y), sub(y, x), add(x, y), slice(x, 1, 0, 2), slice(x, 1, 1, 3)].map((one) => one.id);
  expect(new Set(ids).size).toBe(5);
});

test("GraphBuilder.parameter gives the same node for the same key", () => {
  const builder = new GraphBuilder();
  expect(builder.parameter("w", [2]).id).toBe(builder.parameter("w", [2]).id);
  expect(builder.parameter("v", [2]).id).not.toBe(builder.parameter("w", [2]).id);
});

test("GraphBuilder.apply refuses a value of another graph", () => {
  const stranger = new GraphBuilder().input("x", "float32", [2]);
  const x = new GraphBuilder().input("x", "float32", [2]);
  expect(failure(() => add(x, stranger))).toEqual({
    code: "graph_invalid",
    message: "cannot add add: seen a value of another graph",
  });
});

test("GraphBuilder.finish is not changed by what is added later", () => {
  const builder = new GraphBuilder();
  const x = builder.input("x", "float32", [2]);
  builder.output("y", x);
  const graph = builder.finish();
  builder.output("z", add(x, x));
  builder.tap("t", x);
  expect([graph.nodes.length, [...graph.outputs], graph.taps.size]).toEqual([1, [["y", 0]], 0]);
});

test("buildGraph names the returned values", () => {
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [2]);
    return { double: add(x, x), half: mul(x, 0.5) };
  });
  expect([...graph.outputs]).toEqual([
    ["double", 1],
    ["half", 3],
  ]);
});

test("functions that would change nothing add no node", () => {
  const builder = new GraphBuilder();
  const x = builder.input("x", "float32", [1, 2, 3, 4]);
  const same = [reshape(x, [1, 2, 3, 4]), slice(x, 2, 0, 3), concat([x], 1), resizeNearest(x, 1)];
  expect(same.map((one) => one.id)).toEqual([0, 0, 0, 0]);
});
