import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readSafetensorsHeader, readTensor } from "../checkpoint/mod.ts";
import { buildGraph, OPS, type OpAttributes, type OpName, verifyGraph } from "../graph/mod.ts";
import { cast, type Tensor } from "../tensor/mod.ts";
import { interpret } from "./mod.ts";
import { COMPUTING_OPS, type ComputingOp, randomCase } from "./test-support.ts";

/** Golden values are float64 on both sides, so only the order of sums differs. */
const TOLERANCE = 1e-13;

interface GoldenCase {
  readonly name: string;
  readonly op: ComputingOp;
  readonly attributes: OpAttributes[ComputingOp];
  readonly inputs: number;
}

const golden = (file: string) => fileURLToPath(new URL(`../../../golden/${file}`, import.meta.url));
const cases: readonly GoldenCase[] = JSON.parse(readFileSync(golden("ops.json"), "utf8"));
const { entries } = await readSafetensorsHeader(golden("ops.safetensors"));

function load(name: string): Promise<Tensor> {
  const entry = entries.get(name);
  if (entry === undefined) throw new Error(`ops.safetensors has no ${name}`);
  return readTensor(entry);
}

/** Largest difference over the largest expected magnitude; shapes, types and non-finite values must agree. */
function worst(seen: Tensor, expected: Tensor): number {
  expect([seen.dtype, seen.shape]).toEqual([expected.dtype, expected.shape]);
  const [a, b] = [cast(seen, "float64").data, cast(expected, "float64").data];
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    if (Number.isFinite(b[i])) largest = Math.max(largest, Math.abs(b[i]!));
    // Equal infinities would make a difference of NaN.
    if (a[i] !== b[i]) difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
  }
  return difference === 0 ? 0 : difference / largest;
}

test.each(COMPUTING_OPS)("KERNELS.%s gives PyTorch's values", async (op) => {
  const ofOp = cases.filter((one) => one.op === op);
  expect(ofOp.length, `cases of ${op} in golden/ops.json`).toBeGreaterThan(0);
  for (const { name, attributes, inputs } of ofOp) {
    const given = await Promise.all(Array.from({ length: inputs }, (_, i) => load(`${name}/input${i}`)));
    const graph = buildGraph((builder) => {
      const values = given.map((x, i) => builder.input(`${i}`, x.dtype, x.shape));
      return { result: builder.apply(op, values, attributes as never) };
    });
    const result = interpret(graph, Object.fromEntries(given.entries()), noParameters).get("result")!;
    const difference = worst(result, await load(`${name}/expected`));
    expect(difference, `${name} ${JSON.stringify(attributes)}`).toBeLessThanOrEqual(TOLERANCE);
  }
});

test("COMPUTING_OPS and the sources are all operations", () => {
  const sources: OpName[] = ["input", "parameter", "constant"];
  expect([...COMPUTING_OPS, ...sources].sort()).toEqual(Object.keys(OPS).sort());
});

test.each(COMPUTING_OPS)("randomCase of %s is valid, repeatable and varies with the seed", (op) => {
  const shapes = new Set<string>();
  for (let seed = 0; seed < 10; seed++) {
    const { graph, feeds } = randomCase(op, seed);
    verifyGraph(graph, "randomCase");
    const result = interpret(graph, feeds, noParameters).get("result")!;
    expect(cast(result, "float64").data.every(Number.isFinite)).toBe(true);
    expect(interpret(randomCase(op, seed).graph, feeds, noParameters).get("result")).toEqual(result);
    shapes.add(
      Object.values(feeds)
        .map((x) => x.shape)
        .join(" "),
    );
  }
  expect(shapes.size).toBeGreaterThan(2);
});

function noParameters(name: string): Tensor {
  throw new Error(`no parameter ${name}`);
}
