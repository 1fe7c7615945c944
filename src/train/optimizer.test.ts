import { expect, test } from "vitest";
import { interpret } from "../interp/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import {
  accumulateGraph,
  type OptimizerConfig,
  squaresGraph,
  updateGraph,
  updateNumbers,
} from "./optimizer.ts";

const config: OptimizerConfig = {
  betas: [0.9, 0.98],
  epsilon: 1e-8,
  weightDecay: 0.01,
  decays: ({ name }) => name === "matrix",
  clip: 1,
  halfLives: [10, 1000],
};
const shapes = [
  { name: "matrix", shape: [1, 2] },
  { name: "bias", shape: [1] },
];

/** AdamW as Loshchilov and Hutter write it down (algorithm 2), with the averages beside. */
function reference(
  weight: number,
  gradients: readonly number[],
  { rate, decay, samples }: { rate: number; decay: number; samples: number },
): number[] {
  let [first, second] = [0, 0];
  const averages = config.halfLives.map(() => weight);
  gradients.forEach((gradient, i) => {
    first = 0.9 * first + 0.1 * gradient;
    second = 0.98 * second + 0.02 * gradient ** 2;
    const [m, v] = [first / (1 - 0.9 ** (i + 1)), second / (1 - 0.98 ** (i + 1))];
    weight -= rate * (m / (Math.sqrt(v) + 1e-8) + decay * weight);
    config.halfLives.forEach((halfLife, k) => {
      const kept = 0.5 ** (samples / halfLife);
      averages[k] = kept * averages[k]! + (1 - kept) * weight;
    });
  });
  return [weight, ...averages];
}

test("updateGraph makes the steps of AdamW as published, decay only where asked for, and averages", () => {
  const graph = updateGraph(shapes, config);
  const start: Readonly<Record<string, number[]>> = { matrix: [0.5, -1.25], bias: [0.75] };
  const gradients = {
    matrix: [
      [0.3, -2],
      [0.1, 1e-3],
      [-0.2, 5],
    ],
    bias: [[0.4], [0.4], [-3]],
  };
  const rate = 0.01;
  let state: Record<string, Tensor> = {};
  for (const { name, shape } of shapes) {
    for (const role of ["first", "second"])
      state[`${role}/${name}`] = float32(
        shape,
        start[name]!.map(() => 0),
      );
    for (const role of ["parameter", "average/0", "average/1"])
      state[`${role}/${name}`] = float32(shape, start[name]!);
  }
  for (let i = 0; i < 3; i++) {
    // Twice the gradients at half the scale: as from two parts of a batch.
    const seen = Object.fromEntries(
      shapes.map(({ name, shape }) => [
        `gradient/${name}`,
        float32(
          shape,
          gradients[name as "bias"][i]!.map((x) => 2 * x),
        ),
      ]),
    );
    const numbers = updateNumbers(config, {
      update: i + 1,
      learningRate: rate,
      gradientScale: 0.5,
      samples: 4,
    });
    const updated = interpret(graph, { ...state, ...seen, ...numbers }, () => float32([], [0]));
    state = Object.fromEntries([...updated].map(([name, value]) => [name.replace("updated/", ""), value]));
  }
  let worst = 0;
  for (const { name } of shapes) {
    start[name]!.forEach((weight, k) => {
      const decay = name === "matrix" ? 0.01 : 0;
      const own = gradients[name as "bias"].map((values) => values[k]!);
      const wanted = reference(weight, own, { rate, decay, samples: 4 });
      ["parameter", "average/0", "average/1"].forEach((role, r) => {
        const seen = state[`${role}/${name}`]!.data[k] as number;
        worst = Math.max(worst, Math.abs(seen - wanted[r]!));
      });
    });
  }
  expect(worst).toBeLessThan(3e-7);
});

test("squaresGraph sums the squares of every gradient", () => {
  const feeds = { "gradient/matrix": float32([1, 2], [3, 4]), "gradient/bias": float32([1], [2]) };
  const { data } = interpret(squaresGraph(shapes), feeds, () => float32([], [0])).get("squares")!;
  expect([...data]).toEqual([25, 4]);
});

test("accumulateGraph adds", () => {
  const feeds = {
    "gradient/bias": float32([1], [2]),
    "more/bias": float32([1], [5]),
  };
  const results = interpret(accumulateGraph(shapes.slice(1)), feeds, () => float32([], [0]));
  expect([...results.get("updated/gradient/bias")!.data]).toEqual([7]);
});
