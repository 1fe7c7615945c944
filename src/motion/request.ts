import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import { COLOR_SPACES, type ColorSpace } from "./color.ts";
import { MOTION_FIELDS, MOTION_NAMES, type MotionField } from "./fields.ts";
import { SEED_BEHAVIORS, type SeedBehavior } from "./seeds.ts";
import { BORDER_NAMES, type Border } from "./warp.ts";

const schedule = z.union([z.string(), z.number()]);
const names = <T extends string>(list: readonly T[]) => z.enum(list as [T, ...T[]]);

/** How frames between drawn ones are mixed. */
export const BLENDS = ["linear", "flow"] as const;
export type Blend = (typeof BLENDS)[number];

/** What moves and changes over the frames of an animation; the prompts and the model's settings are elsewhere. */
export const motionRequest = z.strictObject({
  frames: z.number().int().min(1).max(100_000).default(96),
  frameRate: z.number().gt(0).max(240).default(24),
  mode: z.enum(["2D", "3D"]).default("3D"),
  border: names<Border>(BORDER_NAMES).default("replicate"),
  /** Schedules of the motion, each for what happens from a frame to the next. */
  motion: z
    .strictObject(
      Object.fromEntries(MOTION_NAMES.map((name) => [name, schedule.optional()])) as Record<
        MotionField,
        z.ZodOptional<typeof schedule>
      >,
    )
    .default({}),
  /** How much each drawn frame is drawn anew, 0 to 1. */
  strength: schedule.default("0: (0.13)"),
  /** `kept` where a schedule of classic Deforum says how much is left as it was. */
  strengthMeans: z.enum(["changed", "kept"]).default("changed"),
  noise: schedule.default(0),
  contrast: schedule.default(1),
  /** Unsharp mask: amount, odd side of its blur in pixels, deviation, least difference of 255. */
  amount: schedule.default(0),
  kernel: schedule.default(5),
  sigma: schedule.default(1),
  threshold: schedule.default(0),
  /** Where colours are held to those of the first frame. */
  coherence: z.union([z.literal("none"), names<ColorSpace>(COLOR_SPACES)]).default("lab"),
  /** Every how many frames one is drawn. */
  cadence: z.number().int().min(1).max(8).default(2),
  blend: z.enum(BLENDS).default("linear"),
  seedBehavior: names<SeedBehavior>(SEED_BEHAVIORS).default("fixed"),
  /** Whether prompts of the schedule go over into each other, or change at their frame. */
  interpolatePrompts: z.boolean().default(true),
});

/** As a caller writes it. */
export type MotionRequest = z.input<typeof motionRequest>;

/** With every default filled in. */
export type MotionSettings = z.output<typeof motionRequest>;

/** Fills in the defaults; throws `option_invalid` naming the field. A film of no frames has its own words. */
export function resolveMotion(request: MotionRequest): MotionSettings {
  if (request.frames === 0) {
    const parts = { what: "a film needs frames", where: "frames", seen: "0", wanted: "at least 1" };
    throw new KandinskyError("input_missing", parts);
  }
  const parsed = motionRequest.safeParse(request);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const path = issue.path.map(String);
  const value = path.reduce<unknown>((object, name) => (object as Record<string, unknown>)?.[name], request);
  throw new KandinskyError("option_invalid", {
    what: "cannot use this value",
    where: path.join("."),
    seen: JSON.stringify(value) ?? "nothing",
    wanted: issue.code === "invalid_value" ? issue.values.join(", ") : issue.message,
  });
}

/** Deforum's name of a field in messages, which users of its schedules know. */
export function deforumName(field: MotionField): string {
  return MOTION_FIELDS[field].deforum;
}
