import { join } from "node:path";
import { openPart, writeSafetensors } from "../../src/checkpoint/mod.ts";
import { graphFlops } from "../../src/graph/mod.ts";
import { t5Graph } from "../../src/models/mod.ts";
import { bindTextEncoder, encodeText, loadWithCasts, PackStore } from "../../src/pipelines/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
import { type Tensor, zeros } from "../../src/tensor/mod.ts";
import { readOne } from "../inputs.ts";
import type { TextResult, Visit } from "../jobs.ts";
import { checkFinite, repeated, watchMemory } from "../measure.ts";

/** Layers of the text encoder: as the product runs them, and the run alone. */
export const visitText: Visit<"text"> = async (job, tell) => {
  const outputs: { name: string; tensor: Tensor }[] = [];
  const results: TextResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    const ids = (await readOne(job.inputs, `${one.name}/ids`)) as Tensor<"int64">;
    await using engine = await startEngine({ device: "cpu", threads: job.threads });
    const memory = watchMemory(engine);
    const workshop = { engine, store: new PackStore(job.model, true, () => {}) };
    const { config, part } = bindTextEncoder(await openPart(join(job.model, "text_encoder")));
    const ready = (await engine.memory()).privateBytes;

    const { tokens } = one;
    const rows = [{ ids: Array.from(ids.data, Number), attended: tokens }];
    const plan = { rows, conditional: [], unconditional: [], paddedLength: tokens };
    const hidden = await encodeText(workshop, part, config, plan);
    checkFinite(`text encoder, ${one.name}`, hidden);
    outputs.push({ name: one.name, tensor: hidden });
    const footprint = await memory.stop(ready);
    const wholeSeconds = await repeated(one.repeats, () => encodeText(workshop, part, config, plan));

    const graph = t5Graph(config, 1, tokens, { from: 0, to: config.numLayers });
    const program = await loadWithCasts(workshop, part, "text encoder", graph);
    const run = () =>
      program.run({ ids, mask_bias: zeros("float32", [1, 1, 1, tokens]) }, { hidden: "return" });
    await run();
    const seconds = await repeated(one.repeats, run);
    const flops = graphFlops(graph);
    results.push({
      name: one.name,
      wholeSeconds,
      seconds,
      referenceFlops: flops,
      executedFlops: flops,
      ...footprint,
    });
  }
  await writeSafetensors(job.outputs, outputs, {});
  return results;
};
