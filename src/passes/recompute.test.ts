import { expect, test } from "vitest";
import { gradients } from "../autodiff/mod.ts";
import {
  add,
  buildGraph,
  census,
  matmul,
  mul,
  peakActivationBytes,
  reduceSum,
  reshape,
  silu,
} from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { float32 } from "../tensor/mod.ts";
import { recompute, runPasses } from "./mod.ts";

const SIDE = 128;

/** Layers of a product, a factor and an offset a column, and SiLU, as in a network of norms. */
const joint = gradients(
  buildGraph((builder) => {
    let x = builder.input("x", "float32", [SIDE, SIDE]);
    for (let layer = 0; layer < 4; layer++) {
      x = matmul(x, builder.parameter(`w${layer}`, [SIDE, SIDE]));
      const factor = builder.parameter(`factor${layer}`, [1, SIDE]);
      x = silu(add(mul(x, factor), builder.parameter(`offset${layer}`, [1, SIDE])));
    }
    return { loss: reduceSum(reshape(mul(x, x), [SIDE * SIDE]), 0) };
  }),
  { loss: "loss", wrt: ["w0", "factor1", "offset2", "x"] },
);

test("recompute computes the same with less in memory", () => {
  const graph = runPasses(joint, [recompute("loss")]);
  const feeds = { x: float32([SIDE, SIDE], numbers(SIDE * SIDE, 1)) };
  const parameters = (name: string) => {
    const { shape } = joint.nodes.find((node) => node.op === "parameter" && node.attributes.name === name)!;
    return float32(
      shape,
      numbers(shape[0]! * SIDE, name.length + Number(name.at(-1))).map((x) => x / 8),
    );
  };
  expect(interpret(graph, feeds, parameters)).toEqual(interpret(joint, feeds, parameters));
  const [before, after] = [joint, graph].map(peakActivationBytes) as [number, number];
  expect(after).toBeLessThan(0.8 * before);
  const [plain, again] = [census(joint), census(graph)];
  expect(again["silu"]).toBeGreaterThan(plain["silu"]!);
  // Products are not made again.
  expect(again["matmul"]).toBe(plain["matmul"]);
  expect(again["after"]).toBeGreaterThan(0);
});

test("recompute leaves small values alone", () => {
  const small = gradients(
    buildGraph((builder) => {
      const x = silu(mul(builder.input("x", "float32", [8]), 2));
      return { loss: reduceSum(mul(x, x), 0) };
    }),
    { loss: "loss", wrt: ["x"] },
  );
  expect(census(recompute("loss").run(small))).toEqual(census(small));
});

/** Between -1 and 1, in a fixed order. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, i) => (((i + 1 + 101 * seed) * 0.618033988749895) % 1) * 2 - 1,
  );
}
