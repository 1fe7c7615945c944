import { dirname, join } from "node:path";
import { readSafetensorsHeader, writeSafetensors } from "../../src/checkpoint/mod.ts";
import {
  buildGraph,
  conv2d,
  type Graph,
  type GraphBuilder,
  graphFlops,
  matmul,
  parametersOf,
  slice,
  type Value,
} from "../../src/graph/mod.ts";
import { encodeOnnx } from "../../src/onnx/mod.ts";
import { type Pass, runPasses } from "../../src/passes/mod.ts";
import { type BoundPart, foldPart, loadFolded, PackStore, passesFor } from "../../src/pipelines/mod.ts";
import { foldIn, type Key, keyOf, normal } from "../../src/random/mod.ts";
import { type Engine, type Held, type Program, startEngine } from "../../src/runtime/mod.ts";
import { float32, type Tensor } from "../../src/tensor/mod.ts";
import type { PeakCase, PeakResult, Visit } from "../jobs.ts";
import { repeated, watchMemory } from "../measure.ts";
import { SEED } from "../weights.ts";

/** One run does at least this much, so that the way to the engine and back does not count. */
const LEAST_FLOPS = 2e10;
const RUNS = 15;

/** What a form of loading needs. */
interface Bench {
  readonly engine: Engine;
  readonly passes: readonly Pass[];
  readonly store: PackStore;
  readonly part: BoundPart;
}

/** The same operation as the runtime lays it out itself, and as the product does. The peak is the best of both. */
const FORMS: Readonly<Record<string, (bench: Bench, graph: Graph) => Promise<Program>>> = {
  "laid out by the runtime": ({ engine, part }, graph) => {
    const places = part.entries;
    const onnx = encodeOnnx(graph, (name) => {
      const { offset, byteLength } = places.get(name)!;
      return { file: WEIGHTS, offset, byteLength };
    });
    return engine.load({ name: "peak", onnx, weightsFolder: part.folder, optimization: "all" });
  },
  "laid out beforehand": ({ engine, store, passes, part }, graph) =>
    loadFolded({ engine, store }, part, "peak", foldPart(runPasses(graph, passes), part)),
};

const WEIGHTS = "peak.safetensors";

/** The best speed of each operation in each form. */
export const visitPeak: Visit<"peak"> = async ({ cases, threads, outputs }, tell) => {
  const folder = dirname(outputs);
  await using engine = await startEngine({ device: "cpu", threads });
  const passes = await passesFor(engine);
  const key = foldIn(keyOf(SEED), 2);
  const results: PeakResult[] = [];
  for (const one of cases) {
    tell(one.name);
    const { graph, input } = chainOf(one);
    const part = await writeWeights(folder, graph, key);
    const store = new PackStore(folder, false, () => {});
    const x = await hold(engine, normal(foldIn(key, 1), input));
    for (const [form, load] of Object.entries(FORMS)) {
      const memory = watchMemory(engine);
      const program = await load({ engine, passes, store, part }, graph);
      const run = () => program.run({ x }, { y: "return" });
      await run();
      const seconds = await repeated(RUNS, run);
      const { peakPrivateBytes, peakBytes } = await memory.stop(0);
      const name = `${one.name}, ${form}`;
      results.push({ name, seconds, flops: graphFlops(graph), peakPrivateBytes, peakBytes });
      await program.release();
    }
    await engine.release(x);
    await store.dispose();
  }
  return results;
};

/** The operation again and again on its own result, with constant right sides; only a corner of it comes back. */
function chainOf(one: PeakCase): { readonly graph: Graph; readonly input: readonly number[] } {
  const { input, apply } = OPERATIONS[one.op](one as never);
  const define = (length: number) =>
    buildGraph((builder) => {
      let x = builder.input("x", "float32", input);
      for (let i = 0; i < length; i++) x = apply(builder, x);
      return { y: input.reduce((corner, _, axis) => slice(corner, axis, 0, 1), x) };
    });
  const length = Math.ceil(LEAST_FLOPS / graphFlops(define(1)));
  return { graph: define(Math.min(length, LONGEST)), input };
}

/** Small operations would need chains that only slow down loading. */
const LONGEST = 64;

interface Operation {
  readonly input: readonly number[];
  readonly apply: (builder: GraphBuilder, x: Value) => Value;
}

const OPERATIONS: { readonly [K in PeakCase["op"]]: (c: Extract<PeakCase, { op: K }>) => Operation } = {
  product: ({ side }) => ({
    input: [side, side],
    apply: (builder, x) => matmul(x, builder.parameter("weight", [side, side]), { transposeB: true }),
  }),
  convolution: ({ channels, side }) => ({
    input: [1, channels, side, side],
    apply: (builder, x) =>
      conv2d(x, builder.parameter("weight", [channels, channels, 3, 3]), undefined, {
        padding: [1, 1, 1, 1],
      }),
  }),
};

async function writeWeights(folder: string, graph: Graph, key: Key): Promise<BoundPart> {
  const [weight] = parametersOf(graph);
  const { name, shape } = weight!;
  const values = normal(key, shape).data;
  const scale = 1 / Math.sqrt(values.length / shape[0]!);
  const file = join(folder, WEIGHTS);
  const tensors = [
    {
      name,
      tensor: float32(
        shape,
        values.map((x) => x * scale),
      ),
    },
  ];
  await writeSafetensors(file, tensors, {});
  return { name: "peak", folder, entries: (await readSafetensorsHeader(file)).entries };
}

/** Sends a tensor to the engine once, so that runs do not wait for it. */
async function hold(engine: Engine, value: Tensor<"float32">): Promise<Held> {
  const graph = buildGraph((builder) => ({ held: builder.input("value", "float32", value.shape) }));
  const onnx = encodeOnnx(graph, (name) => {
    throw new RangeError(`no weight ${name}`);
  });
  const program = await engine.load({ name: "hold", onnx, optimization: "disabled" });
  const { held } = await program.run({ value }, { held: "hold" });
  await program.release();
  return held;
}
