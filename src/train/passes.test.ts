import { expect, test } from "vitest";
import { gradients } from "../autodiff/mod.ts";
import { product } from "../base/mod.ts";
import { buildGraph, census, embed, type Graph, parametersOf } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { movqDecoderGraph, movqEncoderGraph, t5Graph } from "../models/mod.ts";
import { feedParameters } from "../passes/mod.ts";
import { float32, type Tensor, tensor } from "../tensor/mod.ts";
import { diffusionGraph, mean, squared, trainingGraph } from "./mod.ts";

const unet = {
  inChannels: 4,
  outChannels: 4,
  blockOutChannels: [8, 8, 16],
  layersPerBlock: 2,
  groups: 2,
  attentionHeadDim: 4,
  timeEmbeddingDim: 8,
  crossAttentionDim: 5,
  encoderHidDim: 3,
};
const movq = {
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
const t5 = {
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

/** The mean of the squared results, so that every one of them has a derivative. */
function withLoss(graph: Graph): Graph {
  return buildGraph((builder) => {
    const value = Object.values(embed(builder, graph))[0]!;
    return { loss: mean(squared(value, builder.input("target", "float32", value.shape))) };
  });
}

// Latents of 4 x 8 cells make maps of one row at the lowest level, where kernels are cut.
const shape = { batch: 2, height: 4, width: 8, contextLength: 3 };
const GRAPHS: Readonly<Record<string, Graph>> = {
  "U-Net, diffusers": diffusionGraph(unet, shape, "diffusers"),
  "U-Net, native": diffusionGraph(unet, { ...shape, width: 4 }, "native"),
  "MoVQ encoder": withLoss(movqEncoderGraph(movq, { batch: 1, height: 4, width: 6 })),
  "MoVQ decoder": withLoss(movqDecoderGraph(movq, { batch: 2, height: 2, width: 3 })),
  "T5 encoder": withLoss(t5Graph(t5, 2, 5, { from: 0, to: 2 })),
};

/** Numbers in a fixed order between -1 and 1, those of different seeds unlike. */
function values(size: number, seed: number): Float32Array {
  return Float32Array.from(
    { length: size },
    (_, i) => (((i + 1 + 101 * seed) * 0.618033988749895) % 1) * 2 - 1,
  );
}

function feedsOf(graph: Graph): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  graph.nodes.forEach((node, id) => {
    if (node.op !== "input" && node.op !== "parameter") return;
    const size = product(node.shape);
    feeds[node.attributes.name] =
      node.dtype === "int64"
        ? tensor(
            "int64",
            node.shape,
            BigInt64Array.from({ length: size }, (_, i) => BigInt(i % 7)),
          )
        : float32(node.shape, values(size, id));
  });
  return feeds;
}

test.each(Object.keys(GRAPHS))(
  "trainingGraph of the %s gives the loss and derivatives of the plain graph",
  (name) => {
    const graph = GRAPHS[name]!;
    const names = parametersOf(graph).map((parameter) => parameter.name);
    const feeds = feedsOf(graph);
    const none = (key: string): never => {
      throw new Error(`no parameter ${key}`);
    };
    const plain = interpret(feedParameters.run(gradients(graph, { loss: "loss", wrt: names })), feeds, none);
    const fast = interpret(trainingGraph(graph, names), feeds, none);
    expect([...fast.keys()].sort()).toEqual([...plain.keys()].sort());
    let worst = { error: 0, key: "" };
    const most = Math.max(...[...plain.values()].map(largest));
    for (const [key, value] of plain) {
      const scale = Math.max(largest(value), 1e-3 * most);
      value.data.forEach((wanted, i) => {
        const error = Math.abs(Number(fast.get(key)!.data[i]) - Number(wanted)) / scale;
        if (!(error <= worst.error)) worst = { error, key };
      });
    }
    // Both are float64 inside: what differs is the constants, which are float32, and the order of sums.
    expect(worst.error, worst.key).toBeLessThan(1e-5);
  },
);

function largest(value: Tensor): number {
  let most = 0;
  for (const x of value.data) most = Math.max(most, Math.abs(Number(x)));
  return most;
}

test("trainingGraph of a U-Net has no convolution left", () => {
  const graph = GRAPHS["U-Net, diffusers"]!;
  const counts = census(
    trainingGraph(
      graph,
      parametersOf(graph).map(({ name }) => name),
    ),
  );
  expect(Object.keys(counts).filter((op) => /conv|groupNorm|gather/i.test(op))).toEqual([]);
  expect(counts["patches"]).toBeGreaterThan(0);
});
