import { SAMPLERS } from "../diffusion/mod.ts";
import type { PictureMetadata } from "../image/mod.ts";
import type { Job, KnownFile, PictureJob } from "./job.ts";
import type { ModelInfo } from "./model.node.ts";

/** Version of the JSON that is stored in pictures. */
const FORMAT = 1;

/** What is written into a picture: enough to make it again, and what other programs show. */
export function pictureMetadata(
  job: Job,
  picture: PictureJob,
  { name: model, fingerprint, loras }: Pick<ModelInfo, "name" | "fingerprint" | "loras">,
): PictureMetadata {
  const { pictures: _, canvas: __, ...settings } = job;
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
      request: {
        ...settings,
        // The file's name is enough to find it by its hash; its folder is nobody's business.
        ...("image" in job ? { image: withoutFolder(job.image) } : {}),
        prompt: picture.prompt,
        negative: picture.negative,
        seed: picture.seed,
        count: 1,
      },
    },
  };
}

function withoutFolder({ file, sha256 }: KnownFile): KnownFile {
  return { file: file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1), sha256 };
}
