import { expect, test } from "vitest";
import { interpret } from "../interp/mod.ts";
import { float32, type Tensor, tensor } from "../tensor/mod.ts";
import { trainingGraph } from "../train/mod.ts";
import { textEncoderGraph, textEncoderParameters } from "./text-graph.ts";

const config = {
  dModel: 6,
  dKv: 2,
  numHeads: 2,
  dFf: 5,
  numLayers: 2,
  vocabSize: 7,
  numBuckets: 8,
  maxDistance: 16,
  epsilon: 1e-6,
};
const heads = [
  { name: "subject", classes: 5 },
  { name: "style", classes: 3 },
];
const [batch, length] = [8, 4];
const contrast = { weight: 0.5, temperature: 0.1 };

function feeds(): Record<string, Tensor> {
  return {
    ids: tensor(
      "int64",
      [batch, length],
      BigInt64Array.from({ length: batch * length }, (_, i) => BigInt((i * 3) % 7)),
    ),
    pool_weights: float32([batch, 1, length], new Float32Array(batch * length).fill(1 / length)),
    classes: float32([batch, 2], [0, 0, 1, 1, 2, 2, 3, 0, 4, 1, 0, 2, 1, 0, 2, 1]),
    mask_bias: float32([batch, 1, 1, length], new Float32Array(batch * length)),
  };
}

const parameters = textEncoderParameters(config, heads);

test.each([0, 2])("textEncoderGraph that knows nothing has the loss of a guess, with %i blocks", (blocks) => {
  const graph = textEncoderGraph(config, heads, { batch, length, blocks }, contrast);
  const results = interpret(graph, feeds(), (name) => {
    const { shape } = parameters.find((one) => one.name === name)!;
    return float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
  });
  const loss = Number(results.get("loss")!.data[0]);
  expect(loss).toBeCloseTo(Math.log(5) + Math.log(3) + 0.5 * Math.log(batch / 2), 5);
});

test("textEncoderGraph without blocks has derivatives for the table and the heads, and 0 for all else", () => {
  const graph = textEncoderGraph(config, heads, { batch, length, blocks: 0 }, contrast);
  const names = parameters.map(({ name }) => name);
  const values = parameters.map(({ name, shape }, seed) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [
      name,
      float32(
        shape,
        Array.from({ length: size }, (_, i) => (((i + 1 + 101 * seed) * 0.618033988749895) % 1) * 2 - 1),
      ),
    ] as const;
  });
  const fed = { ...feeds(), ...Object.fromEntries(values) };
  const results = interpret(trainingGraph(graph, names), fed, (name) => {
    throw new Error(`no parameter ${name}`);
  });
  const moved = names.filter((name) => results.get(`grad/${name}`)!.data.some((x) => Number(x) !== 0));
  expect(moved.sort()).toEqual([
    "encoder.final_layer_norm.weight",
    "heads.contrast.weight",
    "heads.style.bias",
    "heads.style.look.weight",
    "heads.style.weight",
    "heads.subject.bias",
    "heads.subject.look.weight",
    "heads.subject.weight",
    "shared.weight",
  ]);
});
