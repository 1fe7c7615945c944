import { EVALUATION_ROOT } from "../../src/evaluation/mod.ts";
import type { Picture } from "../../src/image/mod.ts";
import { holeRatio, type Mask, makeMask } from "../../src/masks/mod.ts";
import { foldIn } from "../../src/random/mod.ts";
import {
  composeScene,
  drawSpec,
  type Masters,
  NANO_SCENES,
  promptOf,
  type SceneSpec,
  type Split,
  type Subject,
  subjectAlpha,
} from "../../src/scenes/mod.ts";

/** A picture that no training saw, with a hole to fill. */
export interface HeldOut {
  readonly spec: SceneSpec;
  readonly split: Split;
  readonly prompt: string;
  readonly picture: Picture;
  readonly hole: Mask;
}

/** Part of a picture that the hole takes, at most. */
const MOST = 0.3;

/** The first uses of the evaluations' root are those of `kandinsky evaluate`. */
const HOLES = 4;

/**
 * Pictures of a key that training does not have; every second one is of a combination of subjects, or of subject and
 * background, that it never shows. Holes are the mixture's, of which larger ones are drawn again.
 */
export function heldOutPictures(
  count: number,
  subjects: readonly Subject[],
  masters: Masters,
  side: number,
): HeldOut[] {
  const byCode = new Map(subjects.map((subject) => [subject.code, subject]));
  const styles = Object.fromEntries(subjects.map(({ style }) => [style, 1]));
  return Array.from({ length: count }, (_, i) => {
    const key = foldIn(foldIn(EVALUATION_ROOT, HOLES), i);
    const split: Split = i % 2 === 0 ? "train" : "held-out-combinations";
    const spec = drawSpec(foldIn(key, SPEC), subjects, { ...NANO_SCENES, split, styles });
    const shapes = spec.subjects.map((placed, k) => {
      return { id: `${k}`, width: side, height: side, data: subjectAlpha(spec, placed, masters, side) };
    });
    let hole: Mask;
    let attempt = 0;
    do {
      const at = foldIn(foldIn(key, HOLE), attempt++);
      hole = makeMask("mixture", at, { width: side, height: side }, shapes).mask;
    } while (holeRatio(hole) > MOST);
    const picture = composeScene(spec, masters, side);
    return { spec, split, prompt: promptOf(spec, byCode, "en"), picture, hole };
  });
}

/** Uses of a picture's key. */
const SPEC = 0;
const HOLE = 1;
