import {
  cropMask,
  cropPicture,
  featherMask,
  matchColors,
  type Picture,
  padPicture,
  pastePicture,
  type Rect,
  resizeBicubic,
  resizeMask,
  resizePicture,
  type SoftMask,
} from "../image/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { encodeCanvas, encodeImage } from "./canvas.node.ts";
import type { Known } from "./denoise.node.ts";
import type { Inputs } from "./inputs.node.ts";
import type { Job, JobOf } from "./job.ts";
import type { MovqRunner } from "./movq-runner.node.ts";
import { openCells, tellHole, withoutHole } from "./tell-hole.ts";

/** What all pictures of a job are drawn from besides noise and text. */
export interface Scene {
  /** Latent [1,C,h,w] that noise is added to; absent where noise is all there is. */
  readonly start?: Tensor<"float32">;
  /** What is kept of a picture, for U-Nets that are not told. */
  readonly known?: Known;
  /** What a U-Net for inpainting is told, [1,1+C,h,w]: where to keep, and the latent of what is kept. */
  readonly extra?: Tensor<"float32">;
}

/** What scenes are made with. */
export interface SceneTools {
  readonly movq: MovqRunner;
  /** Pixels of a latent cell. */
  readonly cell: number;
  /** Whether the U-Net was made for inpainting. */
  readonly inpaints: boolean;
}

/** What an operation does before the first step and after the last. */
interface Stagecraft<J> {
  readonly prepare: (job: J, inputs: Inputs, tools: SceneTools) => Promise<Scene>;
  readonly finish: (job: J, inputs: Inputs, drawn: Picture) => Promise<Picture>;
}

const STAGECRAFT: { readonly [O in Job["operation"]]: Stagecraft<JobOf<O>> } = {
  generate: {
    prepare: async () => ({}),
    finish: async (_job, _inputs, drawn) => drawn,
  },
  edit: {
    prepare: async ({ canvas }, { image }, { movq, cell }) => {
      const resized = resizeBicubic(image!.picture, canvas.width, canvas.height);
      return { start: await encodeCanvas(movq, resized, cell) };
    },
    finish: async ({ width, height }, _inputs, drawn) => fitted(drawn, width, height),
  },
  inpaint: {
    prepare: async ({ canvas, area, strength }, { image, hole }, tools) => {
      const { width, height } = canvas;
      const picture = resizeBicubic(cropPicture(image!.picture, area), width, height);
      const keep = resizeMask(cropMask(hole!, area), width, height).map((value) => 1 - value);
      if (tools.inpaints) {
        const extra = await maskedLatent(picture, keep, tools);
        if (strength === 1) return { extra };
        return { extra, start: await encodeCanvas(tools.movq, picture, tools.cell) };
      }
      const clean = await encodeCanvas(tools.movq, picture, tools.cell);
      const known = { clean, hole: openCells(keep, { width, height }, tools.cell) };
      return strength === 1 ? { known } : { known, start: clean };
    },
    finish: async ({ area, feather, matchColors: match }, { image, hole }, drawn) => {
      const { picture } = image!;
      const part = cropMask(hole!, area);
      const original = cropPicture(picture, area);
      const patch = await fitted(drawn, area.width, area.height);
      const matched = match ? matchColors(patch, original, part) : patch;
      return pastePicture(picture, matched, cropValues(featherMask(hole!, feather), hole!, area), area);
    },
  },
  extend: {
    prepare: async (job, { image }, tools) => {
      const { width, height } = job.canvas;
      const place = placeOf(job);
      const padded = padPicture(image!.picture, { ...place, width, height });
      const keep = Float32Array.from(
        outside(image!.picture, place, job.canvas).data,
        (value) => 1 - value / 255,
      );
      const clean = await encodeCanvas(tools.movq, padded, tools.cell);
      const known = { clean, hole: openCells(keep, job.canvas, tools.cell) };
      return tools.inpaints ? { known, extra: await maskedLatent(padded, keep, tools) } : { known };
    },
    finish: async (job, { image }, drawn) => {
      const { picture } = image!;
      const place = placeOf(job);
      const { width, height } = job.canvas;
      const original = padPicture(picture, { ...place, width, height });
      const matched = job.matchColors
        ? matchColors(drawn, original, outside(picture, place, job.canvas))
        : drawn;
      const cut = cropPicture(matched, { ...job.offset, width: job.width, height: job.height });
      const whole = new Uint8Array(picture.width * picture.height).fill(1);
      return pastePicture(cut, picture, whole, { left: job.left, top: job.top });
    },
  },
  panorama: {
    prepare: async () => ({}),
    finish: async (_job, _inputs, drawn) => drawn,
  },
  upscale: {
    prepare: async ({ width, height, canvas }, { image }, { movq, cell }) => {
      const large = await fitted(image!.picture, width, height);
      return { start: await encodeCanvas(movq, padPicture(large, { left: 0, top: 0, ...canvas }), cell) };
    },
    finish: async ({ width, height }, _inputs, drawn) =>
      cropPicture(drawn, { left: 0, top: 0, width, height }),
  },
};

/** How many pictures of the canvas's size `prepareScene` makes latents of. */
export function picturesRead(job: Job, inpaints: boolean): number {
  // What a U-Net for inpainting is told is one more, but for a hole that is drawn anew: nothing else is read then.
  const isAnew = job.operation === "inpaint" && job.strength === 1;
  return (inpaints ? 1 : 0) + ("image" in job && !(inpaints && isAnew) ? 1 : 0);
}

/** Reads what a job begins with into latents. A U-Net for inpainting that gets no mask is told to keep nothing. */
export async function prepareScene(job: Job, inputs: Inputs, tools: SceneTools): Promise<Scene> {
  const scene = await stagecraftOf(job).prepare(job, inputs, tools);
  if (!tools.inpaints || scene.extra !== undefined) return scene;
  const { width, height } = job.canvas;
  const picture = { width, height, data: new Uint8Array(3 * width * height) };
  return { ...scene, extra: await maskedLatent(picture, new Float32Array(width * height), tools) };
}

/** Makes the result of what was drawn on the canvas. */
export function finishPicture(job: Job, inputs: Inputs, drawn: Picture): Promise<Picture> {
  return stagecraftOf(job).finish(job, inputs, drawn);
}

/** The table ties each operation to its job; indexing by a union cannot show that to the compiler. */
function stagecraftOf(job: Job): Stagecraft<Job> {
  return STAGECRAFT[job.operation] as Stagecraft<Job>;
}

/** As `tellHole`, of one picture; `keep` has a share of 1 for each pixel. */
export async function maskedLatent(
  picture: Picture,
  keep: Float32Array,
  { movq, cell }: Pick<SceneTools, "movq" | "cell">,
): Promise<Tensor<"float32">> {
  return tellHole(keep, picture, cell, await encodeImage(movq, withoutHole(picture, keep), cell));
}

type Size = Readonly<Record<"width" | "height", number>>;

/** Where the picture that is extended lies on the canvas. */
function placeOf({ left, top, offset }: JobOf<"extend">): Pick<Rect, "left" | "top"> {
  return { left: left + offset.left, top: top + offset.top };
}

/** A mask over a canvas that repaints all but the picture on it. */
function outside(picture: Size, { left, top }: Pick<Rect, "left" | "top">, canvas: Size): SoftMask {
  const data = new Uint8Array(canvas.width * canvas.height).fill(255);
  for (let y = top; y < top + picture.height; y++) {
    data.fill(0, y * canvas.width + left, y * canvas.width + left + picture.width);
  }
  return { ...canvas, data };
}

function cropValues(
  values: Float32Array,
  { width: columns }: Size,
  { left, top, width, height }: Rect,
): Float32Array {
  return Float32Array.from({ length: width * height }, (_, i) => {
    return values[(top + Math.floor(i / width)) * columns + left + (i % width)]!;
  });
}

async function fitted(picture: Picture, width: number, height: number): Promise<Picture> {
  const fits = picture.width === width && picture.height === height;
  return fits ? picture : resizePicture(picture, width, height);
}
