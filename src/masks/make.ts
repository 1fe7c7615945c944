import { KandinskyError, nearest } from "../base/mod.ts";
import { type Draws, drawsOf, foldIn, type Key } from "../random/mod.ts";
import { drawMask } from "./draw.ts";
import { holeRatio, type Mask } from "./mask.ts";
import type { AlphaMap, MaskSpec, Size } from "./spec.ts";
import type { Range } from "./strokes.ts";
import { MAKERS, type MakerEntry, type MakerName, MIXTURE, USEFUL } from "./table.ts";

/** A maker, or the mixture of them that training draws from. */
export type MaskKind = MakerName | "mixture";

/** Every kind by name. */
export const MASK_KINDS = ["mixture", ...Object.keys(MAKERS)] as readonly MaskKind[];

/** A mask with what it was drawn from. */
export interface MadeMask {
  readonly spec: MaskSpec;
  readonly mask: Mask;
}

/** How often the mixture joins two masks. */
const UNIONS = 0.1;

/** Tries of one choice of makers before another is chosen, and of choices before giving up. */
const TRIES = 20;
const CHOICES = 20;

/**
 * One mask of a kind, all of its randomness from `key`: equal inputs give equal masks. Where a maker has a range of
 * hole ratios (every row of the mixture but `everything`), masks outside of it are drawn again; which makers the
 * mixture takes is chosen beforehand, so that this does not change their shares. `objects` are the alpha maps for
 * object-shaped masks. Throws `option_unknown` for an unknown kind, `input_missing` for a kind that needs objects
 * where there are none, `option_invalid` where the size is too small for any mask in the range.
 */
export function makeMask(kind: MaskKind, key: Key, size: Size, objects: readonly AlphaMap[] = []): MadeMask {
  checkKind(kind, objects);
  const { width, height } = size;
  for (let choice = 0; choice < CHOICES; choice++) {
    const chosen = foldIn(key, choice);
    const made = kind === "mixture" ? chooseMakers(drawsOf(chosen), objects) : [kind];
    const [low, high] = rangeOf(made);
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const draws = drawsOf(foldIn(chosen, attempt));
      const layers = made.flatMap((name) => MAKERS[name].make(draws, size, objects));
      const spec: MaskSpec = { kind, made, width, height, layers };
      const mask = drawMask(spec, objects);
      const ratio = holeRatio(mask);
      if (low <= ratio && ratio <= high) return { spec, mask };
    }
  }
  throw new KandinskyError("option_invalid", {
    what: `no mask of the kind ${kind} came out with a useful hole`,
    where: "size",
    seen: `${width}x${height}`,
    hint: "take a larger size",
  });
}

function checkKind(kind: MaskKind, objects: readonly AlphaMap[]): void {
  if (!MASK_KINDS.includes(kind)) {
    const close = nearest(kind, MASK_KINDS);
    throw new KandinskyError("option_unknown", {
      what: "unknown kind of mask",
      seen: kind,
      wanted: MASK_KINDS.join(", "),
      ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
    });
  }
  if (kind === "mixture" || objects.length > 0 || !needsObjects(kind)) return;
  throw new KandinskyError("input_missing", {
    what: `masks of the kind ${kind} take their shape from pictures`,
    wanted: "pictures with transparent background",
  });
}

function needsObjects(name: MakerName): boolean {
  return (MAKERS[name] as MakerEntry).needsObjects === true;
}

function chooseMakers(draws: Draws, objects: readonly AlphaMap[]): MakerName[] {
  const rows = MIXTURE.filter(({ name }) => objects.length > 0 || !needsObjects(name));
  const choose = () => draws.pick(rows, ({ weight }) => weight).name;
  return draws.chance(UNIONS) ? [choose(), choose()] : [choose()];
}

/** What a maker allows; of a union any useful ratio, as its parts may each be as large as they can. */
function rangeOf(made: readonly MakerName[]): Range {
  const [first] = made.map((name) => (MAKERS[name] as MakerEntry).holes ?? ANY);
  if (made.length === 1) return first!;
  return made.includes("everything") ? ANY : USEFUL;
}

const ANY: Range = [0, 1];

/** What a training sample says of itself beside a mask. */
export type CaptionUse = "local" | "global" | "empty";

const OBJECT_CAPTIONS: readonly { readonly use: CaptionUse; readonly share: number }[] = [
  { use: "local", share: 0.5 },
  { use: "global", share: 0.4 },
  { use: "empty", share: 0.1 },
];

/**
 * Which caption goes with a mask: for the shape of an object its own label, that of the picture or none, at random;
 * for all other masks that of the picture.
 */
export function captionFor({ layers }: MaskSpec, draws: Draws): CaptionUse {
  if (!layers.some(({ shape }) => shape === "object")) return "global";
  return draws.pick(OBJECT_CAPTIONS, ({ share }) => share).use;
}
