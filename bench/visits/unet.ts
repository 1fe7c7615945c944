import { join } from "node:path";
import { openPart, writeSafetensors } from "../../src/checkpoint/mod.ts";
import { graphFlops } from "../../src/graph/mod.ts";
import { textProjectionGraph, type UNetConfig, unetGraph } from "../../src/models/mod.ts";
import { type Pass, runPasses, splitGraph } from "../../src/passes/mod.ts";
import {
  type BoundPart,
  bindUNet,
  foldPart,
  PackStore,
  passesFor,
  UNetRunner,
} from "../../src/pipelines/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
import { float32, type Tensor } from "../../src/tensor/mod.ts";
import { CELL, readOne } from "../inputs.ts";
import type { Job, UNetCase, UNetResult, Visit } from "../jobs.ts";
import { checkFinite, repeated, timed, watchMemory } from "../measure.ts";

/** U-Net passes as the product does them, each case in an engine of its own. */
export const visitUNet: Visit<"unet"> = async (job, tell) => {
  const outputs: { name: string; tensor: Tensor }[] = [];
  const results: UNetResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    const { output, result } = await measure(job, one, tell);
    results.push(result);
    if (output !== undefined) outputs.push({ name: one.name, tensor: output });
  }
  await writeSafetensors(job.outputs, outputs, {});
  return results;
};

async function measure(job: Job<"unet">, one: UNetCase, tell: (line: string) => void) {
  const { batch, tokens, times } = one;
  const [height, width] = [one.height / CELL, one.width / CELL];
  const sample = (await readOne(job.inputs, `${one.name}/sample`)) as Tensor<"float32">;
  const hidden = (await readOne(job.inputs, `${one.name}/hidden`)) as Tensor<"float32">;
  const packs = new Map<string, number>();

  const start = performance.now();
  await using engine = await startEngine({ device: "cpu", threads: job.threads });
  const memory = watchMemory(engine);
  const store = new PackStore(job.model, true, ({ file, bytes, doneBytes }) => {
    if (packs.get(file) !== bytes) tell(`packing ${(bytes / 1e9).toFixed(1)} GB`);
    packs.set(file, bytes);
    if (doneBytes === bytes) tell("packed");
  });
  const { config, part } = bindUNet(await openPart(join(job.model, "unet")));
  const passes = await passesFor(engine);
  const runner = new UNetRunner({ engine, store }, part, config, passes);
  const prepare = async () =>
    runner.prepare({
      context: await runner.project(hidden),
      maskBias: float32([batch, 1, 1, tokens], new Float32Array(batch * tokens)),
      poolWeights: float32([batch, 1, tokens], new Float32Array(batch * tokens).fill(1 / tokens)),
      times,
      height,
      width,
    });
  let prepared = await prepare();
  const readySeconds = [(performance.now() - start) / 1000];
  const ready = (await engine.memory()).privateBytes;

  let output: Tensor<"float32"> | undefined;
  if (one.repeats > 0) {
    output = await prepared.evaluate(sample, 0);
    checkFinite(`U-Net ${one.name}`, output);
  }
  const footprint = await memory.stop(ready);
  const prologueSeconds: number[] = [];
  let seconds: number[] = [];
  if (one.repeats > 0) {
    for (let i = 0; i < one.repeats; i++) {
      await prepared.release();
      const again = await timed(prepare);
      prologueSeconds.push(again.seconds);
      prepared = again.value;
    }
    seconds = await repeated(one.repeats, () => prepared.evaluate(sample, 0));
  }
  const result: UNetResult = {
    name: one.name,
    steps: times.length,
    readySeconds,
    packedBytes: [...packs.values()].reduce((sum, bytes) => sum + bytes, 0),
    prologueSeconds,
    seconds,
    ...workOf(one, config, part, passes),
    ...footprint,
  };
  return { output, result };
}

function workOf(one: UNetCase, config: UNetConfig, part: BoundPart, passes: readonly Pass[]) {
  const { batch, tokens } = one;
  const shape = { batch, height: one.height / CELL, width: one.width / CELL, contextLength: tokens };
  const projection = graphFlops(textProjectionGraph(config, batch, tokens));
  const whole = unetGraph(config, { ...shape, steps: one.times.length });
  const { prologue, body } = splitGraph(foldPart(runPasses(whole, passes), part).graph, ["sample", "step"]);
  return {
    referenceFlops: projection + graphFlops(unetGraph(config, { ...shape, steps: 1 })),
    prologueFlops: projection + graphFlops(prologue),
    executedFlops: graphFlops(body),
  };
}
