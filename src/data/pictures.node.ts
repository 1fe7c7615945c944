import sharp from "sharp";
import { KandinskyError } from "../base/mod.ts";
import type { Picture } from "../image/mod.ts";
import { readStretch } from "./read.node.ts";
import type { Stretch } from "./sample.ts";

/** What a worker is asked to do with a picture. */
export type PictureJob =
  | { readonly kind: "inspect"; readonly picture: Stretch; readonly key: string }
  | {
      readonly kind: "load";
      readonly picture: Stretch;
      readonly key: string;
      readonly scaledWidth: number;
      readonly scaledHeight: number;
      readonly width: number;
      readonly height: number;
      /** Where to cut, 0 (left, top) to 1 (right, bottom). */
      readonly across: number;
      readonly down: number;
      readonly flip: boolean;
    };

/** Width and height after turning upright; pixels for `load`; what is wrong for `inspect` of a broken one. */
export type PictureResult =
  | { readonly width: number; readonly height: number }
  | { readonly failure: string }
  | Picture;

/** The work of a thread of `openWorkerPool`. */
export async function makeJob(): Promise<(job: PictureJob) => Promise<PictureResult>> {
  // Threads of sharp beside ours would only take turns.
  sharp.concurrency(1);
  return (job) => (job.kind === "inspect" ? inspect(job) : load(job));
}

/** Decodes the whole file at a small size: a picture cut short shows only then. */
async function inspect({ picture }: Extract<PictureJob, { kind: "inspect" }>): Promise<PictureResult> {
  if (picture.size === 0) return { failure: "an empty file" };
  const bytes = await readStretch(picture);
  try {
    const { width, height, orientation } = await sharp(bytes).metadata();
    await sharp(bytes).resize(8, 8, { fit: "fill" }).raw().toBuffer();
    const turned = (orientation ?? 1) >= 5;
    return turned ? { width: height, height: width } : { width, height };
  } catch (error) {
    return { failure: error instanceof Error ? error.message.split("\n")[0]! : String(error) };
  }
}

async function load(job: Extract<PictureJob, { kind: "load" }>): Promise<Picture> {
  const { picture, key, scaledWidth, scaledHeight, width, height, across, down, flip } = job;
  const bytes = await readStretch(picture);
  try {
    const scaled = sharp(bytes)
      .autoOrient()
      .flatten({ background: "white" })
      .toColourspace("srgb")
      .resize({ width: scaledWidth, height: scaledHeight, fit: "fill" })
      .extract({
        left: Math.round(across * (scaledWidth - width)),
        top: Math.round(down * (scaledHeight - height)),
        width,
        height,
      });
    const data = await (flip ? scaled.flop() : scaled).raw({ depth: "uchar" }).toBuffer();
    return { width, height, data: new Uint8Array(data) };
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      {
        what: "a picture of the data cannot be read any more",
        where: key,
        seen: cause instanceof Error ? cause.message : String(cause),
        hint: "it could be read when the data was looked through; look for a failing disk",
      },
      { cause },
    );
  }
}
