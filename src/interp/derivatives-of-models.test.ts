import { afterAll, beforeAll, expect, test } from "vitest";
import { gradients } from "../autodiff/mod.ts";
import { product } from "../base/mod.ts";
import { buildGraph, type Graph, parametersOf, type Value } from "../graph/mod.ts";
import {
  movqDecoderGraph,
  movqEncoderGraph,
  t5Graph,
  textProjectionGraph,
  unetGraph,
} from "../models/mod.ts";
import {
  affineGroupNorm,
  affineLayerNorm,
  affineRmsNorm,
  channelLinear,
  conv,
  doubleMap,
  halveMap,
  linear,
  Scope,
} from "../nn/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import { feedParameters } from "../passes/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import { float32, type Tensor, tensor } from "../tensor/mod.ts";
import {
  type Differentiated,
  differentiable,
  slopes,
  spreadNumbers,
  withLoss,
} from "./derivatives.test-support.ts";
import { interpret } from "./mod.ts";

/** Central differences in float64 lose about half of its digits. */
const TOLERANCE = 1e-7;

/** Of one gradient's largest value: float32 in another order, through dozens of layers. */
const ONNX_TOLERANCE = 2e-5;

const UNET = {
  inChannels: 4,
  outChannels: 4,
  blockOutChannels: [8, 8],
  layersPerBlock: 2,
  groups: 2,
  attentionHeadDim: 4,
  timeEmbeddingDim: 8,
  crossAttentionDim: 5,
  encoderHidDim: 3,
};
const MOVQ = {
  inChannels: 3,
  outChannels: 3,
  blockOutChannels: [32, 32],
  layersPerBlock: 1,
  latentChannels: 4,
  numVqEmbeddings: 8,
  vqEmbedDim: 4,
  normNumGroups: 4,
  attentionLevels: [false, true],
};
const T5 = {
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

function layer(shape: readonly number[], define: (s: Scope, x: Value) => Value): Graph {
  return buildGraph((builder) => ({
    y: define(new Scope(builder, "at"), builder.input("x", "float32", shape)),
  }));
}

const map = [2, 4, 4, 6];

/** Every layer and every network, by name, with the result that is looked at. */
const BLOCKS: Readonly<Record<string, readonly [Graph, string]>> = {
  linear: [layer([2, 5, 3], (s, x) => linear(s, x, 4)), "y"],
  conv: [layer(map, (s, x) => conv(s, x, 3, 3)), "y"],
  channelLinear: [layer(map, (s, x) => channelLinear(s, x, 3)), "y"],
  doubleMap: [layer(map, doubleMap), "y"],
  halveMap: [layer(map, halveMap), "y"],
  affineGroupNorm: [layer(map, (s, x) => affineGroupNorm(s, x, 2, 1e-5)), "y"],
  affineLayerNorm: [layer([2, 5, 3], (s, x) => affineLayerNorm(s, x, 1e-5)), "y"],
  affineRmsNorm: [layer([2, 5, 3], (s, x) => affineRmsNorm(s, x, 1e-6)), "y"],
  "text projection": [textProjectionGraph(UNET, 2, 3), "context"],
  "U-Net": [unetGraph(UNET, { batch: 2, height: 4, width: 6, contextLength: 3, steps: 1 }), "prediction"],
  "MoVQ encoder": [movqEncoderGraph(MOVQ, { batch: 1, height: 4, width: 6 }), "latents"],
  "MoVQ decoder": [movqDecoderGraph(MOVQ, { batch: 2, height: 2, width: 3 }), "image"],
  "T5 encoder": [t5Graph(T5, 2, 5, { from: 0, to: 2 }), "hidden_2"],
};

function caseOf(name: string): Differentiated {
  const [graph, wanted] = BLOCKS[name]!;
  const result = graph.outputs.has(wanted) ? wanted : [...graph.outputs.keys()].at(-1)!;
  const feeds: Record<string, Tensor> = {};
  graph.nodes.forEach((node, i) => {
    if (node.op !== "input") return;
    const size = product(node.shape);
    feeds[node.attributes.name] =
      node.dtype === "int64"
        ? tensor(
            "int64",
            node.shape,
            BigInt64Array.from({ length: size }, (_, k) =>
              BigInt(node.attributes.name === "step" ? 0 : k % 7),
            ),
          )
        : float32(node.shape, Float32Array.from(spreadNumbers(size, i)));
  });
  const parameters = Object.fromEntries(
    parametersOf(graph).map(({ name: key, shape }, i) => [
      key,
      float32(
        shape,
        Float32Array.from(spreadNumbers(product(shape), i + 50), (x) => 0.6 * x),
      ),
    ]),
  );
  return { graph, feeds, parameters, result };
}

const worstByBlock: Record<string, string> = {};
let engine: Engine;

beforeAll(async () => {
  engine = await startEngine({ device: "cpu", threads: 1 });
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  // The figures are what this file is for; a passing test would hide them.
  console.info("worst differences of blocks", worstByBlock);
});

test.each(Object.keys(BLOCKS))(
  "gradients of the %s agree with finite differences along a direction",
  (name) => {
    const { difference, derivative, scale } = slopes(caseOf(name), 3);
    const error = Math.abs(difference - derivative) / scale;
    worstByBlock[name] = error.toExponential(1);
    expect(Math.abs(derivative)).toBeGreaterThan(0);
    expect(error, `${difference} against ${derivative}`).toBeLessThanOrEqual(TOLERANCE);
  },
);

test.each(Object.keys(BLOCKS))("gradients of the %s are the same in ONNX Runtime", async (name) => {
  const one = caseOf(name);
  const graph = withLoss(one, 3);
  const names = differentiable(graph).map((place) => place.name);
  const joint = feedParameters.run(gradients(graph, { loss: "loss", wrt: names }));
  const feeds = { ...one.feeds, ...one.parameters };
  const expected = interpret(joint, feeds, noParameters);
  const program = await engine.load({
    name,
    onnx: encodeOnnx(joint, noParameters),
    optimization: "disabled",
  });
  const fetches = Object.fromEntries([...joint.outputs.keys()].map((key) => [key, "return" as const]));
  const inputs = Object.fromEntries(program.inputs.map((port) => [port.name, feeds[port.name]!]));
  const seen = await program.run(inputs, fetches);
  await program.release();
  let worst = { error: 0, key: "" };
  // Gradients that are zero in theory hold rounding noise: one unit of float32 of the largest of all is let pass.
  const most = Math.max(...[...expected.values()].map(({ data }) => largest(data as Float32Array)));
  for (const [key, { data }] of expected) {
    const [a, b] = [seen[key]!.data as Float32Array, data as Float32Array];
    const scale = Math.max(largest(b), (2 ** -23 / ONNX_TOLERANCE) * most);
    b.forEach((value, i) => {
      const error = Math.abs(a[i]! - value) / scale;
      if (!(error <= worst.error)) worst = { error, key };
    });
  }
  worstByBlock[`${name}, ONNX Runtime`] = worst.error.toExponential(1);
  expect(worst.error, `worst of ${name}: ${worst.key}`).toBeLessThanOrEqual(ONNX_TOLERANCE);
});

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function noParameters(name: string): never {
  throw new Error(`no parameter ${name}`);
}
