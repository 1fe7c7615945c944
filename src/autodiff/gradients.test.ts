import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { add, buildGraph, detach, type Graph, mul, OPS, type OpName, reduceSum } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { gradients, RULES } from "./mod.ts";

const DIFFERENTIABLE = (Object.keys(RULES) as OpName[]).filter((op) => typeof RULES[op] === "function");

test("RULES has a rule exactly where OPS says that there is a derivative, but for blocked layouts", () => {
  const said = (Object.keys(OPS) as OpName[]).filter((op) => OPS[op].differentiable && RULES[op] !== "later");
  expect(said.sort()).toEqual([...DIFFERENTIABLE].sort());
  const later = (Object.keys(RULES) as OpName[]).filter((op) => RULES[op] === "later");
  expect(later.every((op) => /blocked|patches/i.test(op))).toBe(true);
});

const x = float32([3], [1, 2, 3]);

function gradientOf(graph: Graph, name: string, feeds: Readonly<Record<string, Tensor>>): number[] {
  const joint = gradients(graph, { loss: "loss", wrt: [name] });
  const results = interpret(joint, feeds, () => x);
  return Array.from(results.get(`grad/${name}`)!.data, Number);
}

test("gradients adds up what reaches a value on several ways", () => {
  const graph = buildGraph((builder) => {
    const value = builder.input("x", "float32", [3]);
    return { loss: reduceSum(add(mul(value, value), mul(value, 5)), 0) };
  });
  expect(gradientOf(graph, "x", { x })).toEqual([7, 9, 11]);
});

test("gradients differentiates by parameters, inputs and taps, and keeps the results", () => {
  const graph = buildGraph((builder) => {
    const value = builder.parameter("w", [3]);
    const inner = mul(value, builder.input("x", "float32", [3]));
    builder.tap("inner", inner);
    return { loss: reduceSum(mul(inner, inner), 0), inner };
  });
  const joint = gradients(graph, { loss: "loss", wrt: ["w", "inner"] });
  expect([...joint.outputs.keys()]).toEqual(["loss", "inner", "grad/w", "grad/inner"]);
  expect(gradientOf(graph, "inner", { x })).toEqual([2, 8, 18]);
  expect(gradientOf(graph, "w", { x })).toEqual([2, 16, 54]);
});

test("gradients stops at detach, and gives zeros where the loss does not depend on a value", () => {
  const graph = buildGraph((builder) => {
    const value = builder.input("x", "float32", [3]);
    return { loss: reduceSum(mul(value, detach(value)), 0), y: builder.input("y", "float32", [2, 2]) };
  });
  const y = float32([2, 2], [1, 1, 1, 1]);
  expect(gradientOf(graph, "x", { x, y })).toEqual([1, 2, 3]);
  expect(gradientOf(graph, "y", { x, y })).toEqual([0, 0, 0, 0]);
});

function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof KandinskyError) return error.message;
    throw error;
  }
  throw new Error("did not fail");
}

test("gradients says which name is wrong, and what of a loss", () => {
  const graph = buildGraph((builder) => {
    const value = builder.input("value", "float32", [3]);
    return { loss: reduceSum(value, 0), value };
  });
  expect(failure(() => gradients(graph, { loss: "loss", wrt: ["valu"] }))).toBe(
    "cannot differentiate: seen valu, wanted a name of the graph; did you mean value?",
  );
  expect(failure(() => gradients(graph, { loss: "los", wrt: ["value"] }))).toBe(
    "cannot differentiate: seen los, wanted a name of the graph; did you mean loss?",
  );
  expect(failure(() => gradients(graph, { loss: "value", wrt: ["value"] }))).toBe(
    "cannot differentiate: value: seen [3], wanted one element",
  );
});

test("gradients refuses graphs whose layout was chosen", () => {
  const graph = buildGraph((builder) => {
    const map = builder.input("map", "float32", [1, 16, 1, 1]);
    const blocked = builder.apply("toBlocked", [map], { block: 16 });
    return { loss: reduceSum(builder.apply("reshape", [blocked], { shape: [16] }), 0) };
  });
  expect(failure(() => gradients(graph, { loss: "loss", wrt: ["map"] }))).toBe(
    "cannot differentiate: toBlocked %1 (after map): seen toBlocked; take derivatives before layouts are chosen",
  );
});
