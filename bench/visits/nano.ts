import { writeSafetensors } from "../../src/checkpoint/mod.ts";
import { Kandinsky3, type Picture } from "../../src/mod.ts";
import { float32, type Tensor } from "../../src/tensor/mod.ts";
import type { NanoCase, NanoResult, Visit } from "../jobs.ts";
import { repeated } from "../measure.ts";

/** Whole pictures in one process, with the noise of PyTorch so that they can be compared. */
export const visitNano: Visit<"nano"> = async (job, tell) => {
  await using model = await Kandinsky3.load({ model: job.model, threads: job.threads });
  const outputs: { name: string; tensor: Tensor }[] = [];
  const results: NanoResult[] = [];
  for (const one of job.cases) {
    tell(one.name);
    const { width, height, data } = await draw(model, one);
    outputs.push({ name: one.name, tensor: float32([height, width, 3], Float32Array.from(data)) });
    results.push({ name: one.name, seconds: await repeated(one.repeats, () => draw(model, one)) });
  }
  await writeSafetensors(job.outputs, outputs, {});
  return results;
};

async function draw(model: Kandinsky3, { prompt, seed, side, steps }: NanoCase): Promise<Picture> {
  const request = {
    prompt,
    seed,
    steps,
    width: side,
    height: side,
    rng: "torch",
    profile: "diffusers",
  } as const;
  for await (const event of model.generate(request)) if (event.type === "picture") return event.picture;
  throw new RangeError("no picture");
}
