import { join } from "node:path";
import { openPart, writeSafetensors } from "../../src/checkpoint/mod.ts";
import { graphFlops } from "../../src/graph/mod.ts";
import { type MovqConfig, movqDecoderGraph, movqEncoderGraph } from "../../src/models/mod.ts";
import { type Pass, runPasses } from "../../src/passes/mod.ts";
import {
  type BoundPart,
  bindMovq,
  foldPart,
  loadFolded,
  MovqRunner,
  PackStore,
  passesFor,
  type Workshop,
} from "../../src/pipelines/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
import type { Tensor } from "../../src/tensor/mod.ts";
import { CELL, readOne } from "../inputs.ts";
import type { Job, MovqCase, MovqResult, Visit } from "../jobs.ts";
import { checkFinite, repeated, watchMemory } from "../measure.ts";

/** Decoding and encoding as the product does them, each case in an engine of its own. */
export const visitMovq: Visit<"movq"> = async (job, tell) => {
  const outputs: { name: string; tensor: Tensor }[] = [];
  const results: MovqResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    const { output, result } = await measure(job, one);
    results.push(result);
    outputs.push({ name: one.name, tensor: output });
  }
  await writeSafetensors(job.outputs, outputs, {});
  return results;
};

interface Tools {
  readonly workshop: Workshop;
  readonly part: BoundPart;
  readonly config: MovqConfig;
  readonly passes: readonly Pass[];
}

interface Direction {
  readonly input: string;
  /** Pixels that one cell of the graph's input takes. */
  readonly cell: number;
  readonly graph: typeof movqDecoderGraph;
  readonly load: (
    tools: Tools,
    shape: readonly number[],
  ) => Promise<(x: Tensor<"float32">) => Promise<Tensor>>;
}

const DIRECTIONS: { readonly [D in MovqCase["direction"]]: Direction } = {
  decode: {
    input: "latents",
    cell: CELL,
    graph: movqDecoderGraph,
    load: async ({ workshop, part, config, passes }) => {
      const runner = new MovqRunner(workshop, part, config, passes);
      return (x) => runner.decode(x);
    },
  },
  encode: {
    input: "image",
    cell: 1,
    graph: movqEncoderGraph,
    load: async ({ workshop, part, config, passes }, [batch, , height, width]) => {
      const shape = { batch: batch!, height: height!, width: width! };
      const folded = foldPart(runPasses(movqEncoderGraph(config, shape), passes), part);
      const program = await loadFolded(workshop, part, "MoVQ encoder", folded);
      return async (image) => (await program.run({ image }, { latents: "return" })).latents;
    },
  },
};

async function measure(job: Job<"movq">, one: MovqCase) {
  const { input, cell, graph, load } = DIRECTIONS[one.direction];
  const x = (await readOne(job.inputs, `${one.name}/${input}`)) as Tensor<"float32">;
  const packs = new Map<string, number>();

  const start = performance.now();
  await using engine = await startEngine({ device: "cpu", threads: job.threads });
  const memory = watchMemory(engine);
  const store = new PackStore(job.model, true, ({ file, bytes }) => packs.set(file, bytes));
  const { config, part } = bindMovq(await openPart(join(job.model, "movq")));
  const passes = await passesFor(engine);
  const run = await load({ workshop: { engine, store }, part, config, passes }, x.shape);
  const ready = (await engine.memory()).privateBytes;
  const output = (await run(x)) as Tensor<"float32">;
  const firstSeconds = [(performance.now() - start) / 1000];
  checkFinite(`MoVQ ${one.name}`, output);
  const footprint = await memory.stop(ready);
  const seconds = await repeated(one.repeats, () => run(x));
  const whole = graph(config, { batch: 1, height: one.height / cell, width: one.width / cell });
  const result: MovqResult = {
    name: one.name,
    firstSeconds,
    packedBytes: [...packs.values()].reduce((sum, bytes) => sum + bytes, 0),
    seconds,
    referenceFlops: graphFlops(whole),
    executedFlops: graphFlops(foldPart(runPasses(whole, passes), part).graph),
    ...footprint,
  };
  return { output, result };
}
