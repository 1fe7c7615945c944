import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { add, buildGraph, type GraphBuilder, matmul, mul, type Value } from "../graph/mod.ts";
import { checkInPlace } from "./mod.ts";

function problem(define: (x: Value, builder: GraphBuilder) => Record<string, Value>): string {
  const graph = buildGraph((builder) => define(builder.input("x", "float32", [2, 2]), builder));
  try {
    checkInPlace(graph, new Map([["x", "y"]]));
    return "none";
  } catch (error) {
    if (error instanceof KandinskyError) return error.message;
    throw error;
  }
}

test("checkInPlace lets elementwise graphs through that read the old value before they write", () => {
  expect(problem((x) => ({ y: add(x, mul(x, 2)) }))).toBe("none");
});

test("checkInPlace refuses a reader of the old value that may come after the new one", () => {
  expect(problem((x) => ({ y: add(x, 1), z: mul(x, 2) }))).toBe(
    "cannot update in place: mul %4 (after x): seen a reader of the old value, wanted only those that lead to the new one",
  );
});

test("checkInPlace refuses operations that mix elements, and results of another shape", () => {
  expect(problem((x) => ({ y: matmul(x, x) }))).toContain("seen matmul, wanted elementwise operations");
  const wide = (x: Value, builder: GraphBuilder) => ({ y: add(x, builder.input("w", "float32", [3, 2, 2])) });
  expect(problem(wide)).toContain("seen [3,2,2], wanted [2,2], the shape of what it is written over");
  expect(problem((x) => ({ z: add(x, 1) }))).toContain(
    "seen no result y, wanted the one that is written over it",
  );
});
