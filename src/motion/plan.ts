import { KandinskyError } from "../base/mod.ts";
import type { Picture } from "../image/mod.ts";
import { foldIn, keyOf } from "../random/mod.ts";
import { drawnFrames, tweenOf } from "./cadence.ts";
import {
  depthTrace,
  type FlatMotion,
  flatMap,
  type SamplingMap,
  type SpaceMotion,
  spaceMap,
  type Trace,
} from "./camera.ts";
import { matchColors } from "./color.ts";
import type { DeepPicture } from "./depth.ts";
import { MOTION_FIELDS, MOTION_NAMES, type MotionField } from "./fields.ts";
import { blendAlongFlow, blendLinear } from "./flow.ts";
import { type PromptKey, type PromptMix, promptAt } from "./prompts.ts";
import { deforumName, type MotionSettings } from "./request.ts";
import { parseSchedule } from "./schedule.ts";
import { seedOf } from "./seeds.ts";
import { type Treatment, treatPicture } from "./treat.ts";
import { warpAlong, warpPicture } from "./warp.ts";

/** Every number of an animation, known before the first frame is drawn. */
export interface AnimationPlan {
  readonly settings: MotionSettings;
  readonly prompts: readonly PromptKey[];
  readonly seed: number;
  /** Frames that the model draws. */
  readonly drawn: readonly number[];
  readonly motion: Readonly<Record<MotionField, Float64Array>>;
  readonly strength: Float64Array;
  readonly treatment: Readonly<Record<keyof Treatment, Float64Array>>;
}

const BLENDERS = { flow: blendAlongFlow, linear: blendLinear } as const;

/** Frames behind the film's end to which a schedule must still have values: the drawn one before counts on them. */
const AHEAD = 8;

const TREATMENT_RANGES = {
  contrast: [0, 10],
  amount: [0, 10],
  kernel: [1, 99],
  sigma: [0.01, 100],
  threshold: [0, 255],
  noise: [0, 10],
} as const satisfies Record<keyof Treatment, readonly [number, number]>;

/** Evaluates all schedules. Throws `option_invalid` that points at the first mistake. */
export function planAnimation(
  settings: MotionSettings,
  prompts: readonly PromptKey[],
  seed: number,
): AnimationPlan {
  const { frameRate } = settings;
  const frames = settings.frames + AHEAD;
  const scheduled = (name: string, text: string | number, range?: readonly [number, number]) =>
    parseSchedule(text, { frames, frameRate, name, ...(range === undefined ? {} : { range }) });
  const motion = Object.fromEntries(
    MOTION_NAMES.map((field) => {
      const text = settings.motion[field] ?? MOTION_FIELDS[field].still;
      return [field, scheduled(deforumName(field), text, RANGES[field])];
    }),
  ) as Record<MotionField, Float64Array>;
  const strength = scheduled("strength_schedule", settings.strength, [0, 1]);
  const treatment = Object.fromEntries(
    Object.entries(TREATMENT_RANGES).map(([name, range]) => [
      name,
      scheduled(`${name}_schedule`, settings[name as keyof Treatment], range),
    ]),
  ) as Record<keyof Treatment, Float64Array>;
  const even = treatment.kernel.findIndex((side) => side % 2 !== 1);
  if (even >= 0) {
    throw new KandinskyError("option_invalid", {
      what: "a schedule has a value that cannot be used",
      where: `kernel_schedule, frame ${even}`,
      seen: String(treatment.kernel[even]),
      wanted: "an odd whole number",
    });
  }
  return {
    settings,
    prompts,
    seed,
    drawn: drawnFrames(settings.frames, settings.cadence),
    motion,
    strength: settings.strengthMeans === "kept" ? strength.map((value) => 1 - value) : strength,
    treatment,
  };
}

const RANGES: Readonly<Partial<Record<MotionField, readonly [number, number]>>> = {
  zoom: [0.01, 100],
  flipFieldOfView: [1, 179],
  fieldOfView: [1, 179],
};

/** How the camera moves from frame - 1 to frame. */
export function mapOf(
  plan: AnimationPlan,
  frame: number,
  { width, height }: Pick<Picture, "width" | "height">,
): SamplingMap {
  const all = motionAt(plan, frame);
  return plan.settings.mode === "2D" ? flatMap(all, width, height) : spaceMap(all, width, height);
}

function motionAt({ motion }: AnimationPlan, frame: number): FlatMotion & SpaceMotion {
  const at = Object.fromEntries(MOTION_NAMES.map((name) => [name, motion[name][frame]!]));
  return at as unknown as FlatMotion & SpaceMotion;
}

/** A drawn frame as the camera would see it at a later frame: over its depth where it has one, in 3-D. */
export function moveOn(plan: AnimationPlan, picture: DeepPicture, from: number, to: number): Picture {
  if (to === from) return picture;
  const { border, mode } = plan.settings;
  const frames = Array.from({ length: to - from }, (_, i) => from + 1 + i);
  const { depth } = picture;
  if (depth === undefined || mode === "2D") {
    const maps = frames.map((frame) => mapOf(plan, frame, picture));
    return warpPicture(picture, maps, border);
  }
  const traces = frames.map((frame) => depthTrace(motionAt(plan, frame), picture, depth));
  return warpAlong(picture, chained(traces), border);
}

/** The last frame's trace first. */
function chained(traces: readonly Trace[]): Trace {
  return (x, y, place) => {
    place[0] = x;
    place[1] = y;
    for (let i = traces.length - 1; i >= 0; i--) traces[i]!(place[0]!, place[1]!, place);
  };
}

/** How a drawn frame is made: from a picture, or from nothing where there is none yet. */
export interface FrameTask extends PromptMix {
  readonly frame: number;
  readonly seed: number;
  readonly strength: number;
  readonly picture: Picture | undefined;
}

/**
 * What the model is to draw for `plan.drawn[index]`: the drawn frame before, moved on, with the colours of `first` (the
 * film's first drawn frame) and treated. Depends on nothing else, so a stopped film goes on as it would have.
 */
export function frameTask(
  plan: AnimationPlan,
  index: number,
  before: DeepPicture | undefined,
  first: Picture | undefined,
): FrameTask {
  const { settings, seed, prompts } = plan;
  const frame = plan.drawn[index]!;
  const mix = promptAt(prompts, frame, settings.interpolatePrompts);
  const own = seedOf(settings.seedBehavior, seed, index);
  const common = { ...mix, frame, seed: own, strength: plan.strength[frame]! };
  if (before === undefined) return { ...common, picture: undefined };
  const moved = moveOn(plan, before, plan.drawn[index - 1] ?? 0, frame);
  const colored = first === undefined ? moved : holdColors(plan, moved, first);
  const treatment = Object.fromEntries(
    Object.entries(plan.treatment).map(([name, values]) => [name, values[frame]!]),
  ) as unknown as Treatment;
  return { ...common, picture: treatPicture(colored, treatment, foldIn(keyOf(seed), frame)) };
}

/**
 * A picture with the colours of the film's first drawn frame. What is to be drawn on gets them, as Deforum does, and
 * so does what was drawn: there the colours of most models drift, and all frames between are made of it.
 */
export function holdColors({ settings }: AnimationPlan, picture: Picture, first: Picture): Picture {
  const { coherence } = settings;
  return coherence === "none" ? picture : matchColors(picture, first, coherence);
}

/** A frame of the film from the drawn frames around it, by their numbers. */
export function filmFrame(
  plan: AnimationPlan,
  frame: number,
  drawnAt: (frame: number) => DeepPicture,
): Picture {
  const { previous, next, share } = tweenOf(frame, plan.settings.cadence);
  const later = moveOn(plan, drawnAt(next), next, frame);
  if (previous === undefined) return later;
  return BLENDERS[plan.settings.blend](moveOn(plan, drawnAt(previous), previous, frame), later, share);
}
