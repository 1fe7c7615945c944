import { type AlphaMap, type CaptionUse, captionFor, type Mask, makeMask } from "../masks/mod.ts";
import { drawsOf, foldIn, type Key } from "../random/mod.ts";

/** One thing that a picture shows. */
export interface ShownObject {
  /** Of the picture's size. */
  readonly shape: AlphaMap;
  /** What is said of it alone, as a key draws it. */
  readonly caption: (key: Key) => string;
}

/** A picture that gets a hole. */
export interface Whole {
  readonly width: number;
  readonly height: number;
  readonly text: string;
  /** What it shows, as far as the data knows. */
  readonly objects: readonly ShownObject[];
}

/** What the U-Net is told of a picture with a hole. */
export interface Holed {
  /** 1 for pixels that are kept, 0 in the hole. */
  readonly keep: Float32Array;
  readonly text: string;
}

/**
 * Holes for a batch of pictures of one size, a function of the key and the row: one of the mixture of masks each, or all
 * of the picture with the chance `everything`. Holes in the shape of objects take those of the picture and of the row
 * after it, and change the caption as `captionFor` says; the local one is that of the object of which the hole covers
 * most. `first` is the number of the first of these rows where other processes have those before.
 */
export function drawHoles(pictures: readonly Whole[], everything: number, key: Key, first = 0): Holed[] {
  return pictures.map(({ width, height, text, objects }, row) => {
    const own = foldIn(key, first + row);
    const draws = drawsOf(foldIn(own, CHOICES));
    const kind = draws.chance(everything) ? "everything" : "mixture";
    const others = pictures[(row + 1) % pictures.length]!.objects;
    const shapes = [...new Set([...objects, ...others])].map(({ shape }) => shape).filter(isSeen);
    const { spec, mask } = makeMask(kind, foldIn(own, MASK), { width, height }, shapes);
    const local = () => mostCovered(mask, objects)?.caption(foldIn(own, CAPTION)) ?? text;
    const texts: Readonly<Record<CaptionUse, () => string>> = { local, global: () => text, empty: () => "" };
    return {
      keep: Float32Array.from(mask.data, (hole) => 1 - hole),
      text: texts[captionFor(spec, draws)](),
    };
  });
}

/** Uses of a row's key. */
const CHOICES = 0;
const MASK = 1;
const CAPTION = 2;

const OPAQUE = 128;

/** Fine lines may miss the middle of every pixel of a small picture. */
function isSeen({ data }: AlphaMap): boolean {
  return data.some((alpha) => alpha >= OPAQUE);
}

function mostCovered(mask: Mask, objects: readonly ShownObject[]): ShownObject | undefined {
  let found: ShownObject | undefined;
  let most = 0;
  for (const object of objects) {
    const covered = object.shape.data.filter((alpha, i) => alpha >= OPAQUE && mask.data[i] === 1).length;
    if (covered > most) [found, most] = [object, covered];
  }
  return found;
}
