import { writeSafetensors } from "../../src/checkpoint/mod.ts";
import { Kandinsky3, type Picture } from "../../src/mod.ts";
import { removeTexts } from "../../src/pipelines/mod.ts";
import { float32, type Tensor } from "../../src/tensor/mod.ts";
import type { NanoCase, NanoResult, PeakMemory, Visit } from "../jobs.ts";
import { repeated } from "../measure.ts";

/** Whole pictures in one process, with the noise of PyTorch so that they can be compared. */
export const visitNano: Visit<"nano"> = async (job, tell) => {
  await using model = await Kandinsky3.load({ model: job.model, threads: job.threads });
  const outputs: { name: string; tensor: Tensor }[] = [];
  const results: NanoResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    const { picture, memory } = await draw(model, one);
    const { width, height, data } = picture;
    outputs.push({ name: one.name, tensor: float32([height, width, 3], Float32Array.from(data)) });
    const seconds = await repeated(one.repeats, () => draw(model, one));
    results.push({ name: one.name, seconds, ...memory });
  }
  await writeSafetensors(job.outputs, outputs, {});
  return results;
};

interface Drawn {
  readonly picture: Picture;
  readonly memory: PeakMemory;
}

async function draw(model: Kandinsky3, { prompt, seed, side, steps }: NanoCase): Promise<Drawn> {
  // diffusers reads the prompt each time too.
  await removeTexts(model.info.folder);
  const request = {
    prompt,
    seed,
    steps,
    width: side,
    height: side,
    rng: "torch",
    profile: "diffusers",
  } as const;
  let picture: Picture | undefined;
  let memory: PeakMemory = { peakPrivateBytes: 0, peakBytes: 0 };
  for await (const event of model.generate(request)) {
    if (event.type === "picture") picture = event.picture;
    if (event.type === "memory")
      memory = { peakPrivateBytes: event.privateBytes, peakBytes: event.residentBytes };
  }
  if (picture === undefined) throw new RangeError("no picture");
  return { picture, memory };
}
