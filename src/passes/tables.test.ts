import { expect, test } from "vitest";
import { add, buildGraph, type Graph, gather, mul, nodesOf } from "../graph/mod.ts";
import { unetGraph } from "../models/mod.ts";
import { joinTables, type SplitGraph, splitGraph } from "./mod.ts";
import { evaluate, randomFeeds, randomWeights, SMALL_UNET, worstDifference } from "./test-support.ts";

const NAMED = ["sample", "step"];

function run(whole: Graph, { prologue, body }: SplitGraph) {
  const [feeds, weights] = [randomFeeds(whole), randomWeights(whole)];
  return evaluate(body, { ...feeds, ...Object.fromEntries(evaluate(prologue, feeds, weights)) }, weights);
}

function carried(graph: Graph): string[] {
  const names = nodesOf(graph, "input").map(({ attributes }) => attributes.name);
  return names.filter((name) => name.startsWith("carried_"));
}

test("joinTables of the U-Net carries one table for all norms, and changes no value", () => {
  const whole = unetGraph(SMALL_UNET, { batch: 2, height: 8, width: 8, contextLength: 5, steps: 3 });
  const apart = splitGraph(whole, NAMED);
  const joined = joinTables(apart);
  expect(nodesOf(apart.body, "gather").length).toBeGreaterThan(100);
  expect(nodesOf(joined.body, "gather").length).toBe(1);
  const tables = carried(apart.body).length - carried(joined.body).length + 1;
  expect(tables).toBe(nodesOf(apart.body, "gather").length);
  expect([...joined.prologue.outputs.keys()].sort()).toEqual(carried(joined.body).sort());
  expect(worstDifference(run(whole, joined), run(whole, apart))).toBe(0);
});

test("joinTables leaves tables that are read in another way", () => {
  const whole = buildGraph((builder) => {
    const step = builder.input("step", "int64", []);
    const table = (name: string, size: number) => mul(builder.input(name, "float32", [2, 1, size]), 2);
    const [a, b, c] = [table("a", 3), table("b", 4), table("c", 3)];
    const whole = add(c, builder.input("sample", "float32", [2, 1, 3]));
    return { y: gather(a, step), z: gather(b, step), both: add(gather(c, step), whole) };
  });
  const apart = splitGraph(whole, NAMED);
  const joined = joinTables(apart);
  // c is also used whole, so only a and b are joined.
  expect(nodesOf(joined.body, "gather").length).toBe(2);
  expect(worstDifference(run(whole, joined), run(whole, apart))).toBe(0);
});

test("joinTables does nothing where one table or none is carried", () => {
  const whole = buildGraph((builder) => ({
    y: gather(mul(builder.input("a", "float32", [2, 1, 3]), 2), builder.input("step", "int64", [])),
  }));
  const apart = splitGraph(whole, NAMED);
  expect(joinTables(apart)).toEqual(apart);
});
