import type { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import {
  growMask,
  holeBounds,
  invertMask,
  isHole,
  type ReadPicture,
  resizeMask,
  type SoftMask,
} from "../image/mod.ts";
import { drawMask, type Layer } from "../masks/mod.ts";
import type { Notice } from "./events.ts";
import type { maskSource } from "./request.ts";

type Mask = z.output<typeof maskSource>;
type MaskOf<F extends Mask["from"]> = Extract<Mask, { from: F }>;

/** What decides which pixels of a picture are repainted. */
export interface HoleSettings {
  readonly mask: Mask;
  readonly invert: boolean;
  readonly grow: number;
  readonly strict?: boolean;
}

/** What is repainted, and what a person should know about it. */
export interface Hole {
  readonly mask: SoftMask;
  readonly notices: readonly Notice[];
}

/**
 * The hole in a picture. `file` is what the mask's file holds where it has one; `where` names the mask in errors.
 * Throws `picture_unfit` for a mask of another size with `strict`, one without contrast, an empty one, one that covers
 * all, and for a picture without transparency where that should be the mask.
 */
export function makeHole(
  settings: HoleSettings,
  image: ReadPicture,
  file: ReadPicture | undefined,
  where: string,
): Hole {
  const { mask, invert, grow, strict = false } = settings;
  const { width, height } = image.picture;
  const made = (MAKERS[mask.from] as (mask: Mask, sources: Sources) => SoftMask)(mask, {
    image,
    file,
    where,
  });
  const notices: Notice[] = [];
  let soft = made;
  if (made.width !== width || made.height !== height) {
    const [from, to] = [`${made.width}x${made.height}`, `${width}x${height}`];
    if (strict)
      throw unfit(
        "the mask has another size than the picture",
        where,
        from,
        to,
        "leave out --strict to resize it",
      );
    notices.push({ notice: "mask-resized", from, to });
    const values = resizeMask(made, width, height);
    soft = { width, height, data: Uint8Array.from(values, (value) => Math.round(255 * value)) };
  }
  const hole = growMask(invert ? invertMask(soft) : soft, grow);
  checkHole(hole, where);
  return { mask: hole, notices };
}

interface Sources {
  readonly image: ReadPicture;
  readonly file: ReadPicture | undefined;
  readonly where: string;
}

const MAKERS: { readonly [F in Mask["from"]]: (mask: MaskOf<F>, sources: Sources) => SoftMask } = {
  file: (_, { file, where }) => {
    const { picture, alpha } = file!;
    const { width, height, data } = picture;
    // A mask with transparency is meant as OpenAI's are: what is transparent is repainted.
    if (alpha !== undefined) return { width, height, data: alpha.map((value) => 255 - value) };
    const light = Uint8Array.from({ length: width * height }, (_value, i) =>
      Math.round(0.299 * data[3 * i]! + 0.587 * data[3 * i + 1]! + 0.114 * data[3 * i + 2]!),
    );
    checkContrast(light, where);
    return { width, height, data: light };
  },
  alpha: (_, { image, where }) => {
    const { picture, alpha } = image;
    if (alpha === undefined) {
      throw new KandinskyError("picture_unfit", {
        what: "the picture has no transparent part to repaint",
        where,
        hint: "name a mask: --mask FILE, --box, --polygon, --strokes or --color-key",
      });
    }
    return { width: picture.width, height: picture.height, data: alpha.map((value) => 255 - value) };
  },
  box: ({ left, top, width, height }, sources) =>
    drawn(sources, [{ shape: "box", left, top, width, height }]),
  polygon: ({ points }, sources) => drawn(sources, [{ shape: "polygon", points }]),
  strokes: ({ strokes }, sources) =>
    drawn(
      sources,
      strokes.map(({ points, width }) => ({ shape: "stroke", points, width })),
    ),
  color: ({ color, tolerance }, { image: { picture } }) => {
    const wanted = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
    const { width, height, data } = picture;
    const isNear = (i: number) => wanted.every((value, k) => Math.abs(data[3 * i + k]! - value) <= tolerance);
    return {
      width,
      height,
      data: Uint8Array.from({ length: width * height }, (_, i) => (isNear(i) ? 255 : 0)),
    };
  },
};

function drawn({ image: { picture } }: Sources, layers: readonly Layer[]): SoftMask {
  const { width, height } = picture;
  return { width, height, data: drawMask({ width, height, layers }).data.map((value) => 255 * value) };
}

/** Steps of grey between the darkest and the lightest place of a mask, at least. */
const LEAST_CONTRAST = 32;

function checkContrast(light: Uint8Array, where: string): void {
  let [low, high] = [255, 0];
  for (const value of light) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  // All black and all white are other mistakes.
  if (high - low >= LEAST_CONTRAST || high === 0 || low === 255) return;
  throw unfit(
    "the mask has no contrast",
    where,
    `grey values ${low} to ${high}`,
    "black to keep and white to repaint",
    "give a mask in black and white",
  );
}

function checkHole({ width, height, data }: SoftMask, where: string): void {
  const bounds = holeBounds({ width, height, data });
  if (bounds === undefined) {
    throw unfit(
      "the mask is empty",
      where,
      "no pixel",
      "white where to repaint",
      "--invert turns a mask around",
    );
  }
  if (!data.every(isHole)) return;
  throw unfit(
    "the mask covers the whole picture",
    where,
    "all pixels",
    "something to keep",
    "use `kandinsky edit` to change a whole picture",
  );
}

function unfit(what: string, where: string, seen: string, wanted: string, hint: string): KandinskyError {
  return new KandinskyError("picture_unfit", { what, where, seen, wanted, hint });
}
