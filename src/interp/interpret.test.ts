import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { add, buildGraph, cast, GraphBuilder, gather, mul, reshape, slice, sub } from "../graph/mod.ts";
import { float32, type Tensor, tensor } from "../tensor/mod.ts";
import { interpret } from "./mod.ts";

function noParameters(name: string): Tensor {
  throw new Error(`asked for parameter ${name}`);
}

function failure(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof KandinskyError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("did not fail");
}

const scaled = buildGraph((builder) => {
  const x = builder.input("x", "float32", [2, 3]);
  return { y: mul(x, builder.parameter("scale", [3])) };
});
const x = float32([2, 3], [1, 2, 3, 4, 5, 6]);
const scale = () => float32([3], [1, 10, 100]);

test("interpret returns the outputs by name with their types and shapes", () => {
  const results = interpret(scaled, { x }, scale);
  expect([...results]).toEqual([["y", float32([2, 3], [1, 20, 300, 4, 50, 600])]]);
});

test("interpret computes only what is wanted, taps included", () => {
  const builder = new GraphBuilder();
  const input = builder.input("x", "float32", [2]);
  const doubled = add(input, input);
  builder.tap("middle", doubled);
  builder.output("z", mul(doubled, builder.parameter("unread", [2])));
  const results = interpret(builder.finish(), { x: float32([2], [1, 2]) }, noParameters, ["middle"]);
  expect([...results]).toEqual([["middle", float32([2], [2, 4])]]);
});

test("interpret rounds at casts and results, and nowhere between", () => {
  const tiny = float32([1], [2 ** -30]);
  const graph = buildGraph((builder) => {
    const [one, small] = [builder.input("one", "float32", [1]), builder.input("small", "float32", [1])];
    const sum = add(one, small);
    return { kept: sub(sum, one), lost: sub(cast(cast(sum, "float16"), "float32"), one), sum };
  });
  const results = interpret(graph, { one: float32([1], [1]), small: tiny }, noParameters);
  expect([results.get("kept"), results.get("lost"), results.get("sum")]).toEqual([
    tiny,
    float32([1], [0]),
    float32([1], [1]),
  ]);
});

test("interpret leaves feeds and parameters as they were", () => {
  const graph = buildGraph((builder) => {
    const input = builder.input("x", "float64", [4]);
    return { same: reshape(input, [2, 2]), part: slice(add(input, input), 0, 1, 3) };
  });
  const feed = tensor("float64", [4], Float64Array.of(1, 2, 3, 4));
  const results = interpret(graph, { x: feed }, noParameters);
  expect([...results.get("same")!.data, ...results.get("part")!.data]).toEqual([1, 2, 3, 4, 4, 6]);
  expect([...feed.data]).toEqual([1, 2, 3, 4]);
});

test("interpret takes a parameter stored in another type", () => {
  const half = tensor("float16", [3], Uint16Array.of(0x3c00, 0x4000, 0xc000));
  expect([...interpret(scaled, { x }, () => half).get("y")!.data]).toEqual([1, 4, -6, 4, 10, -12]);
});

test("interpret asks for a parameter once", () => {
  let asked = 0;
  interpret(scaled, { x }, () => {
    asked++;
    return scale();
  });
  expect(asked).toBe(1);
});

test("interpret names a feed that is missing", () => {
  expect(failure(() => interpret(scaled, { y: x }, scale))).toEqual({
    code: "input_missing",
    message: "cannot interpret the graph: feed x: seen feeds y, wanted float32[2,3]",
  });
});

test("interpret names a feed of the wrong shape", () => {
  expect(failure(() => interpret(scaled, { x: float32([3, 2], x.data) }, scale))).toEqual({
    code: "tensor_shape",
    message: "cannot interpret the graph: feed x: seen float32[3,2], wanted float32[2,3]",
  });
});

test("interpret names a feed of the wrong type", () => {
  const wide = tensor("float64", [2, 3], new Float64Array(6));
  expect(failure(() => interpret(scaled, { x: wide }, scale))).toEqual({
    code: "tensor_dtype",
    message: "cannot interpret the graph: feed x: seen float64[2,3], wanted float32[2,3]",
  });
});

test("interpret names a parameter of the wrong shape", () => {
  expect(failure(() => interpret(scaled, { x }, () => float32([2], [1, 2])))).toEqual({
    code: "tensor_shape",
    message: "cannot interpret the graph: parameter scale: seen float32[2], wanted float32[3]",
  });
});

test("interpret names a wanted result that is not there", () => {
  expect(failure(() => interpret(scaled, { x }, scale, ["z"]))).toEqual({
    code: "graph_invalid",
    message: "cannot interpret the graph: seen wanted result z, wanted an output or tap: y; did you mean y?",
  });
});

test.each([-1, 2])("interpret refuses to gather row %i of two", (row) => {
  const graph = buildGraph((builder) => ({
    y: gather(builder.input("table", "float32", [2, 3]), builder.input("rows", "int64", [1])),
  }));
  const rows = tensor("int64", [1], BigInt64Array.of(BigInt(row)));
  expect(failure(() => interpret(graph, { table: x, rows }, noParameters))).toEqual({
    code: "graph_invalid",
    message: `cannot gather: seen index ${row}, wanted 0 to 1`,
  });
});
