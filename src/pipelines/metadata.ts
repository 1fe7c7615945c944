import { SAMPLERS } from "../diffusion/mod.ts";
import type { PictureMetadata } from "../image/mod.ts";
import type { Job, PictureJob } from "./job.ts";
import type { ModelInfo } from "./model.node.ts";
import { REQUESTS } from "./request.ts";

/** Version of the JSON that is stored in pictures. */
const FORMAT = 1;

/** What is written into a picture: enough to make it again, and what other programs show. */
export function pictureMetadata(
  job: Job,
  picture: PictureJob,
  { name: model, fingerprint, loras }: Pick<ModelInfo, "name" | "fingerprint" | "loras">,
): PictureMetadata {
  return {
    prompt: picture.prompt,
    negativePrompt: picture.negative ?? "",
    steps: job.steps,
    sampler: SAMPLERS[job.sampler].label,
    // Other programs count the weight of the conditional half: one more than the original's w.
    guidance: job.guidance + 1,
    seed: picture.seed,
    width: job.width,
    height: job.height,
    model,
    extra: {
      Profile: job.profile,
      RNG: job.rng,
      ...(loras.length === 0 ? {} : { LoRA: loras.map(({ name, weight }) => `${name}:${weight}`).join(" ") }),
    },
    json: {
      kandinsky: FORMAT,
      operation: job.operation,
      model,
      fingerprint,
      ...(loras.length === 0 ? {} : { loras }),
      request: requestOf(job, picture),
    },
  };
}

/** The request that makes one picture of a job again. */
function requestOf(job: Job, { prompt, negative, seed }: PictureJob): Readonly<Record<string, unknown>> {
  const { overlap, join, wrap } = "windows" in job ? job.windows : {};
  const fields: Readonly<Record<string, unknown>> = {
    ...job,
    ...{ overlap, join, wrap },
    prompt: "sections" in job ? job.sections : prompt,
    negative,
    seed,
    count: 1,
    // A file's name is enough to find it by its hash; its folder is nobody's business.
    ...("image" in job ? { image: withoutFolder(job.image) } : {}),
    ...("mask" in job && job.mask.from === "file" ? { mask: withoutFolder(job.mask) } : {}),
  };
  const known = Object.keys(REQUESTS[job.operation].shape);
  return Object.fromEntries(known.filter((key) => key in fields).map((key) => [key, fields[key]]));
}

function withoutFolder<T extends { readonly file: string }>(source: T): T {
  const { file } = source;
  return { ...source, file: file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1) };
}
