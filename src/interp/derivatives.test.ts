import { afterAll, expect, test } from "vitest";
import { RULES } from "../autodiff/mod.ts";
import { buildGraph, cast, type OpName } from "../graph/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { differentiable, slopes } from "./derivatives.test-support.ts";
import { type ComputingOp, randomCase } from "./test-support.ts";

/** Central differences in float64 lose about half of its digits. */
const TOLERANCE = 1e-7;
const SEEDS = 12;

const worstByOp: Record<string, string> = {};
// The figures are what this file is for; a passing test would hide them.
afterAll(() => console.info("worst differences to finite differences", worstByOp));

const DIFFERENTIABLE = (Object.keys(RULES) as OpName[]).filter((op) => typeof RULES[op] === "function");

test.each(DIFFERENTIABLE)("RULES.%s agrees with finite differences along a direction", (op) => {
  let worst = { error: 0, seed: -1 };
  let moving = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const { graph, feeds } = op === "cast" ? castCase() : randomCase(op as ComputingOp, seed);
    if (differentiable(graph).length === 0) continue;
    const { difference, derivative, scale } = slopes({ graph, feeds, result: "result" }, seed);
    const error = Math.abs(difference - derivative) / scale;
    if (derivative !== 0) moving += 1;
    if (!(error <= worst.error)) worst = { error, seed };
  }
  expect(moving, "cases whose loss moves").toBeGreaterThan(0);
  worstByOp[op] = worst.error.toExponential(1);
  expect(worst.error, `worst of ${op}, at seed ${worst.seed}`).toBeLessThanOrEqual(TOLERANCE);
});

/** A cast between float types, which alone have a derivative; a loss is float32, so it goes there and back. */
function castCase() {
  const graph = buildGraph((builder) => {
    const value = cast(builder.input("x", "float32", [3]), "float64");
    return { result: cast(value, "float32") };
  });
  return { graph, feeds: { x: float32([3], [0.3, -1, 2]) } };
}
