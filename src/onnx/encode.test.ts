import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { add, buildGraph, type Graph, matmul, mul, slice } from "../graph/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { encodeOnnx, type WeightPlace } from "./mod.ts";

// What each operation computes is compared in src/interp/onnx.test.ts; here is what surrounds them.

let engine: Engine;
const folder = mkdtempSync(join(tmpdir(), "kandinsky-onnx-"));
beforeAll(async () => {
  engine = await startEngine({ device: "cpu", threads: 1 });
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function run<const N extends string>(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  wanted: readonly N[],
  placeOf: (name: string) => WeightPlace = noWeights,
): Promise<Record<string, Tensor>> {
  const program = await engine.load({
    name: "test",
    onnx: encodeOnnx(graph, placeOf),
    weightsFolder: folder,
  });
  const results = await program.run(
    feeds,
    Object.fromEntries(wanted.map((name) => [name, "return"] as const)),
  );
  await program.release();
  return results;
}

function noWeights(name: string): never {
  throw new Error(`asked for weight ${name}`);
}

const x = float32([2, 3], [1, 2, 3, 4, 5, 6]);

test("encodeOnnx keeps the names, types and shapes of inputs and outputs", async () => {
  const graph = buildGraph((builder) => ({
    "up_blocks.0/out": add(builder.input("x", "float32", [2, 3]), builder.input("y", "float32", [3])),
  }));
  const program = await engine.load({ name: "test", onnx: encodeOnnx(graph, noWeights) });
  expect(program.inputs).toEqual([
    { name: "x", dtype: "float32", shape: [2, 3] },
    { name: "y", dtype: "float32", shape: [3] },
  ]);
  expect(program.outputs).toEqual([{ name: "up_blocks.0/out", dtype: "float32", shape: [2, 3] }]);
  await program.release();
});

test("encodeOnnx gives one value under two names, and an input, a constant or a weight as a result", async () => {
  const graph = buildGraph((builder) => {
    const input = builder.input("x", "float32", [2, 3]);
    const sum = add(input, input);
    const constant = builder.constant(float32([2], [7, 8]));
    return { first: sum, second: sum, same: input, constant, weight: builder.parameter("w", [2]) };
  });
  writeFileSync(join(folder, "result.bin"), new Float32Array([5, 6]));
  const place = () => ({ file: "result.bin", offset: 0, byteLength: 8 });
  const results = await run(graph, { x }, ["first", "second", "same", "constant", "weight"], place);
  const doubled = float32([2, 3], [2, 4, 6, 8, 10, 12]);
  expect(results).toEqual({
    first: doubled,
    second: doubled,
    same: x,
    constant: float32([2], [7, 8]),
    weight: float32([2], [5, 6]),
  });
});

test("encodeOnnx reads each weight at its place in its file", async () => {
  writeFileSync(join(folder, "a.bin"), new Float32Array([9, 9, 1, 0, 0, 2, 3, 3]));
  writeFileSync(join(folder, "b.bin"), new Float32Array([10, 100]));
  const places: Record<string, WeightPlace> = {
    "proj.weight": { file: "a.bin", offset: 8, byteLength: 24 },
    "proj.bias": { file: "b.bin", offset: 0, byteLength: 8 },
  };
  const graph = buildGraph((builder) => {
    const weight = builder.parameter("proj.weight", [2, 3]);
    const product = matmul(builder.input("x", "float32", [2, 3]), weight, { transposeB: true });
    return { y: add(product, builder.parameter("proj.bias", [2])) };
  });
  const { y } = await run(graph, { x }, ["y"], (name) => places[name]!);
  // Rows of the weight: 1 0 0 and 2 3 3.
  expect(y).toEqual(float32([2, 2], [11, 117, 14, 141]));
});

test("encodeOnnx keeps small and large constants apart by type, shape and value", async () => {
  const long = Float32Array.from({ length: 100 }, (_, i) => i);
  const graph = buildGraph((builder) => {
    const input = builder.input("x", "float32", [1]);
    return {
      two: mul(input, 2),
      alsoTwo: mul(input, builder.constant(float32([1], [2]))),
      three: mul(input, 3),
      minusZero: mul(input, -0),
      long: mul(input, builder.constant(float32([100], long))),
      longer: mul(
        input,
        builder.constant(
          float32(
            [2, 50],
            long.map((value) => value + 1),
          ),
        ),
      ),
    };
  });
  const results = await run(graph, { x: float32([1], [1]) }, [...graph.outputs.keys()]);
  expect(results).toEqual({
    two: float32([1], [2]),
    alsoTwo: float32([1], [2]),
    three: float32([1], [3]),
    minusZero: float32([1], [-0]),
    long: float32([100], long),
    longer: float32(
      [2, 50],
      long.map((value) => value + 1),
    ),
  });
});

test("encodeOnnx gives the same bytes for the same graph", () => {
  const define = () => buildGraph((builder) => ({ y: mul(builder.input("x", "float32", [2, 3]), 0.5) }));
  expect(encodeOnnx(define(), noWeights)).toEqual(encodeOnnx(define(), noWeights));
});

test("encodeOnnx names nodes after the graph's, for the runtime's messages", () => {
  const graph = buildGraph((builder) => ({ y: add(builder.input("x", "float32", [2]), 1) }));
  expect(new TextDecoder("latin1").decode(encodeOnnx(graph, noWeights))).toContain("2/Add_0");
});

test("encodeOnnx cuts a tensor whole with one Split, and leaves cuts with a gap alone", async () => {
  const graph = buildGraph((builder) => {
    const input = builder.input("x", "float32", [2, 3]);
    const rest = slice(input, 0, 1, 2);
    return { c: slice(input, 1, 1, 3), a: slice(input, 1, 0, 1), rest: add(rest, rest) };
  });
  const operations = new TextDecoder("latin1")
    .decode(encodeOnnx(graph, noWeights))
    .match(/\/(Split|Slice)_/g);
  expect(new Set(operations)).toEqual(new Set(["/Split_", "/Slice_"]));
  const { a, c, rest } = await run(graph, { x }, ["a", "c", "rest"]);
  expect([...a!.data]).toEqual([1, 4]);
  expect([...c!.data]).toEqual([2, 3, 5, 6]);
  expect([...rest!.data]).toEqual([8, 10, 12]);
});
