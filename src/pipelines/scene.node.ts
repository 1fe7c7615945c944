import { type Picture, resizeBicubic, resizePicture, tensorFromPicture } from "../image/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { Input, Inputs } from "./inputs.node.ts";
import type { Job, JobOf } from "./job.ts";
import type { MovqRunner } from "./movq-runner.node.ts";

/** What all pictures of a job are drawn from besides noise and text. */
export interface Scene {
  /** Latent [1,C,h,w] of the picture to begin with. */
  readonly clean?: Tensor<"float32">;
}

/** What an operation does before the first step and after the last. */
interface Stagecraft<J> {
  readonly prepare: (job: J, inputs: Inputs, movq: MovqRunner) => Promise<Scene>;
  readonly finish: (job: J, inputs: Inputs, drawn: Picture) => Promise<Picture>;
}

const STAGECRAFT: { readonly [O in Job["operation"]]: Stagecraft<JobOf<O>> } = {
  generate: {
    prepare: async () => ({}),
    finish: async (_job, _inputs, drawn) => drawn,
  },
  edit: {
    prepare: async (job, inputs, movq) => {
      const { picture } = inputs.image as Input;
      const resized = resizeBicubic(picture, job.canvas.width, job.canvas.height);
      const [clean] = await movq.encode([tensorFromPicture(resized)]);
      return { clean: clean! };
    },
    finish: async ({ width, height }, _inputs, drawn) => fitted(drawn, width, height),
  },
};

/** Reads what a job begins with into latents. */
export function prepareScene(job: Job, inputs: Inputs, movq: MovqRunner): Promise<Scene> {
  return stagecraftOf(job).prepare(job, inputs, movq);
}

/** Makes the result of what was drawn on the canvas. */
export function finishPicture(job: Job, inputs: Inputs, drawn: Picture): Promise<Picture> {
  return stagecraftOf(job).finish(job, inputs, drawn);
}

/** The table ties each operation to its job; indexing by a union cannot show that to the compiler. */
function stagecraftOf(job: Job): Stagecraft<Job> {
  return STAGECRAFT[job.operation] as Stagecraft<Job>;
}

async function fitted(picture: Picture, width: number, height: number): Promise<Picture> {
  const fits = picture.width === width && picture.height === height;
  return fits ? picture : resizePicture(picture, width, height);
}
