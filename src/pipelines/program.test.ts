import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { product } from "../base/mod.ts";
import { readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { type Graph, nodesOf, parametersOf } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { movqDecoderGraph, movqEncoderGraph, t5Graph, unetGraph } from "../models/mod.ts";
import { chunkAttention, runPasses, splitGraph } from "../passes/mod.ts";
import { foldIn, keyOf, normal } from "../random/mod.ts";
import { type Engine, type Program, startEngine } from "../runtime/mod.ts";
import { cast, float32, type Tensor, tensor } from "../tensor/mod.ts";
import { type BoundPart, PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import { foldPart, loadFolded, loadWithCasts } from "./program.node.ts";

/** Largest difference to float64 over the largest expected magnitude; depths of 40 to 200 layers in float32. */
const TOLERANCE = 2e-5;

const UNET = {
  inChannels: 4,
  outChannels: 4,
  blockOutChannels: [32, 64, 64, 64],
  layersPerBlock: 2,
  groups: 4,
  attentionHeadDim: 16,
  timeEmbeddingDim: 32,
  crossAttentionDim: 32,
  encoderHidDim: 20,
};
const MOVQ = {
  inChannels: 3,
  outChannels: 3,
  blockOutChannels: [32, 32, 64],
  layersPerBlock: 1,
  latentChannels: 4,
  numVqEmbeddings: 16,
  vqEmbedDim: 4,
  normNumGroups: 8,
  attentionLevels: [false, false, true],
};
const T5 = {
  dModel: 16,
  dKv: 8,
  numHeads: 3,
  dFf: 24,
  numLayers: 2,
  vocabSize: 32,
  numBuckets: 8,
  maxDistance: 20,
  epsilon: 1e-6,
};

let engine: Engine;
let root: string;
beforeAll(async () => {
  engine = await startEngine({ device: "cpu", threads: 1 });
  root = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-program-")));
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

/** Random weights of a graph in a file, in half precision or not, and as the interpreter asks for them. */
async function makePart(name: string, graph: Graph, dtype: "float32" | "float16") {
  const file = join(root, `${name}-${dtype}.safetensors`);
  const tensors = parametersOf(graph).map((parameter, i) => {
    const { data } = normal(foldIn(keyOf(3), i), parameter.shape);
    const size = 1 / Math.sqrt(product(parameter.shape.slice(1)));
    return {
      name: parameter.name,
      tensor: cast(
        float32(
          parameter.shape,
          data.map((x) => x * size),
        ),
        dtype,
      ),
    };
  });
  await writeSafetensors(file, tensors, {});
  const { entries } = await readSafetensorsHeader(file);
  const part: BoundPart = { name, folder: root, entries };
  const stored = new Map<string, Tensor>();
  for (const [key, entry] of entries) stored.set(key, await readTensor(entry));
  return { part, weights: (key: string) => stored.get(key)! };
}

/** Values for every input; integers count up from 0. */
function feedsOf(graph: Graph): Record<string, Tensor> {
  return Object.fromEntries(
    nodesOf(graph, "input").map(({ attributes: { name, dtype, shape } }, i) => [
      name,
      dtype === "int64"
        ? tensor(
            dtype,
            shape,
            BigInt64Array.from({ length: product(shape) }, (_, at) => BigInt(at)),
          )
        : normal(foldIn(keyOf(4), i), shape),
    ]),
  );
}

/** The one result of a program, and the others by name. */
async function run(program: Program, feeds: Readonly<Record<string, Tensor>>) {
  const given = Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!]));
  const wanted = Object.fromEntries(program.outputs.map(({ name }) => [name, "return" as const]));
  const results: Record<string, Tensor> = await program.run(given, wanted);
  await program.release();
  return results;
}

function expectClose(seen: Readonly<Record<string, Tensor>>, expected: ReadonlyMap<string, Tensor>): void {
  expect(Object.keys(seen)).toEqual([...expected.keys()]);
  for (const [name, want] of expected) {
    expect(seen[name]!.shape).toEqual(want.shape);
    const [a, b] = [seen[name]!.data as Float32Array, want.data as Float32Array];
    const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const difference = b.reduce((most, value, i) => Math.max(most, Math.abs(value - a[i]!)), 0) / largest;
    expect(difference, `${name}: worst relative difference ${difference}`).toBeLessThanOrEqual(TOLERANCE);
  }
}

const GRAPHS: Readonly<Record<string, () => Graph>> = {
  "U-Net": () => unetGraph(UNET, { batch: 2, height: 8, width: 16, contextLength: 18, steps: 2 }),
  "MoVQ decoder": () => movqDecoderGraph(MOVQ, { batch: 2, height: 4, width: 6 }),
  // Large enough for the norms that are folded into convolutions.
  "MoVQ encoder": () => movqEncoderGraph(MOVQ, { batch: 1, height: 64, width: 80 }),
  T5: () => t5Graph(T5, 2, 7, { from: 0, to: 2 }),
};

test.each(
  Object.keys(GRAPHS).flatMap((name) =>
    (["float32", "float16"] as const).map((dtype) => [name, dtype] as const),
  ),
)(
  "loadFolded of the %s in %s after all passes computes what the interpreter computes",
  async (name, dtype) => {
    const graph = GRAPHS[name]!();
    const { part, weights } = await makePart(name, graph, dtype);
    const feeds = feedsOf(graph);
    const expected = interpret(graph, feeds, weights);
    const store = new PackStore(root, false, () => {});
    const folded = foldPart(runPasses(graph, [...(await passesFor(engine)), chunkAttention(1e4)]), part);
    const whole = await loadFolded({ engine, store }, part, name, folded);
    expectClose(await run(whole, feeds), expected);

    // The same through prologue and body.
    const { prologue, body } = splitGraph(folded.graph, ["sample", "step", "latents", "image", "ids"]);
    const load = (part_: Graph) => loadFolded({ engine, store }, part, name, { ...folded, graph: part_ });
    const carried = prologue.outputs.size === 0 ? {} : await run(await load(prologue), feeds);
    expectClose(await run(await load(body), { ...feeds, ...carried }), expected);
    await store.dispose();
  },
);

test("loadWithCasts computes from half-precision weights what the interpreter computes, and packs nothing", async () => {
  const graph = GRAPHS["T5"]!();
  const { part, weights } = await makePart("T5 cast", graph, "float16");
  const feeds = feedsOf(graph);
  const store = new PackStore(root, false, () => {
    throw new Error("packed");
  });
  const program = await loadWithCasts({ engine, store }, part, "T5", graph);
  expectClose(await run(program, feeds), interpret(graph, feeds, weights));
});
