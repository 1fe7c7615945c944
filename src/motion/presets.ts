import { KandinskyError, nearest } from "../base/mod.ts";
import type { MotionField, MotionSchedules } from "./fields.ts";

/** A stretch of the film with one motion of the camera. */
export interface Segment {
  readonly preset: string;
  readonly seconds: number;
  /** Strength of the motion: above 0, default 1. */
  readonly acceleration?: number;
  /** Whether it fades away in a straight line (default), or holds and stops. Spins always hold. */
  readonly fades?: boolean;
}

/** The camera of a whole film. */
export interface CameraPlan {
  readonly mode: "2D" | "3D";
  readonly schedules: MotionSchedules;
}

type Motion = (a: number) => Readonly<Partial<Record<MotionField, number | string>>>;

const wave = (a: number) => `${1.5 * a}*sin(3.14*t/24)`;

/**
 * The motions of Deforum-Kandinsky's segments (animation.md, table 1b), a its acceleration. In left_sinus_y the
 * original's name and keys disagree; here it does what it is called.
 */
const SEGMENTS: Readonly<Record<string, Motion>> = {
  right: (a) => ({ translationX: a }),
  left: (a) => ({ translationX: -a }),
  up: (a) => ({ translationY: a }),
  down: (a) => ({ translationY: -a }),
  zoomin: (a) => ({ translationZ: a }),
  zoomout: (a) => ({ translationZ: -a }),
  spin_clockwise: (a) => ({ rotationZ: a }),
  spin_counterclockwise: (a) => ({ rotationZ: -a }),
  rotate_right: (a) => ({ rotationY: a }),
  rotate_left: (a) => ({ rotationY: -a }),
  rotate_up: (a) => ({ rotationX: a }),
  rotate_down: (a) => ({ rotationX: -a }),
  around_right: (a) => ({ translationX: 2.5 * a, rotationY: -0.5 * a }),
  around_left: (a) => ({ translationX: -2.5 * a, rotationY: 0.5 * a }),
  zoomin_sinus_x: (a) => ({ translationZ: a, translationX: wave(a) }),
  zoomout_sinus_y: (a) => ({ translationZ: -a, translationY: wave(a) }),
  right_sinus_y: (a) => ({ translationX: a, translationY: wave(a) }),
  left_sinus_y: (a) => ({ translationX: -a, translationY: wave(a) }),
  flipping_phi: (a) => ({ flipPhi: 5 * a }),
  live: () => ({ translationX: "0.05*sin(3.14159*t/90)" }),
};

export const SEGMENT_PRESETS = Object.keys(SEGMENTS);

/** A camera of Deforum-Kandinsky's `configs/animations.py` (animation.md, table 1a), which holds for the whole film. */
export interface ConfigPreset extends CameraPlan {
  readonly frames: number;
  readonly strength: string;
  readonly cadence?: number;
}

const flat = (schedules: MotionSchedules, last = 0.16): ConfigPreset => ({
  mode: "2D",
  schedules,
  frames: 96,
  strength: `0: (0.15), 96: (${last})`,
});
const sideways = (x: string): ConfigPreset => ({
  mode: "3D",
  schedules: { translationX: x },
  frames: 96,
  strength: "0: (0.12), 96: (0.15)",
});
const upright = (y: string): ConfigPreset => ({
  mode: "3D",
  schedules: { translationY: y },
  frames: 96,
  strength: "0: (0.15), 96: (0.2)",
});

export const CONFIG_PRESETS: Readonly<Record<string, ConfigPreset>> = {
  right: sideways("2.5"),
  left: sideways("-2.5"),
  up: upright("2.5"),
  down: upright("-2.5"),
  zoomin: flat({ zoom: "1.018" }),
  zoomout: flat({ zoom: "0.97" }),
  spin_clockwise: flat({ angle: "-3" }),
  spin_counterclockwise: flat({ angle: "3" }),
  flipping_gamma: flat({ flipGamma: "7" }, 0.25),
  flipping_phi: flat({ flipPhi: "7" }, 0.25),
  flipping_theta: flat({ flipTheta: "7" }, 0.25),
  perspective: {
    mode: "3D",
    schedules: {
      translationX: "0:(0), 1:(3), 89:(0), 90:(-3), 179:(0), 180:(-3), 269:(0), 270:(3), 359:(0)",
      rotationY: "0:(0), 1:(-.5), 89:(0), 90:(.5), 179:(0), 180:(.5), 269:(0), 270:(-.5), 359:(0)",
      fieldOfView: "90",
    },
    frames: 360,
    strength: "0: (0.2), 360: (0.25)",
    cadence: 4,
  },
  panorama: {
    mode: "3D",
    schedules: { rotationY: "0:(0), 1:(2), 45:(0), 46:(-2), 90:(0), 91:(-2), 135:(0), 136:(2), 180:(0)" },
    frames: 180,
    strength: "0: (0.15), 180: (0.16)",
    cadence: 2,
  },
  live: { mode: "3D", schedules: {}, frames: 96, strength: "0: (0.15), 96: (0.16)", cadence: 4 },
  default: { mode: "3D", schedules: {}, frames: 1, strength: "0.13" },
};

/** A preset of that table; throws `option_unknown` with the nearest name. */
export function configPreset(name: string): ConfigPreset {
  if (Object.hasOwn(CONFIG_PRESETS, name)) return CONFIG_PRESETS[name]!;
  throw unknown(name, Object.keys(CONFIG_PRESETS));
}

/**
 * The schedules of segments that follow each other. A motion that fades has its value at the segment's first frame and
 * 0 behind its last; one that holds has it from the second frame to the last but one. Where the next segment moves the
 * same, its value takes the place of that 0, so the motion goes over smoothly. An expression holds to the segment's
 * end. Throws `option_unknown` for a preset, `option_invalid` for seconds and accelerations that are not above 0.
 */
export function segmentCamera(segments: readonly Segment[], frameRate: number): CameraPlan {
  const keys = new Map<MotionField, Map<number, number | string>>();
  let elapsed = 0;
  for (const [index, { preset, seconds, acceleration = 1, fades = true }] of segments.entries()) {
    const motion = Object.hasOwn(SEGMENTS, preset) ? SEGMENTS[preset] : undefined;
    if (motion === undefined) throw unknown(preset, SEGMENT_PRESETS);
    for (const [name, value] of [
      ["seconds", seconds],
      ["acceleration", acceleration],
    ] as const) {
      if (!(value > 0 && Number.isFinite(value))) throw notPositive(index, name, value);
    }
    const start = Math.floor(elapsed * frameRate);
    const end = start + Math.floor(seconds * frameRate);
    for (const [field, value] of Object.entries(motion(acceleration)) as [MotionField, number | string][]) {
      const track = keys.get(field) ?? new Map<number, number | string>();
      keys.set(field, track);
      const holds = !fades || preset.startsWith("spin");
      const goesOn = track.has(start);
      for (const [frame, part] of partsOf(value, start, end, holds)) track.set(frame, part);
      // Nothing moves before the segment, unless the one before moved the same.
      if (start > 0 && !goesOn) track.set(start - 1, 0);
    }
    elapsed += seconds;
  }
  const schedules = Object.fromEntries([...keys].map(([field, track]) => [field, textOf(track)]));
  const isFlat = segments.length > 0 && segments.every(({ preset }) => preset === "flipping_phi");
  return { mode: isFlat ? "2D" : "3D", schedules };
}

function partsOf(
  value: number | string,
  start: number,
  end: number,
  holds: boolean,
): readonly (readonly [number, number | string])[] {
  if (typeof value === "string" || !holds)
    return [
      [start, value],
      [end, 0],
    ];
  return [
    [start, 0],
    [start + 1, value],
    [Math.max(start + 1, end - 1), value],
    [end, 0],
  ];
}

function textOf(track: ReadonlyMap<number, number | string>): string {
  const sorted = [...track].sort(([a], [b]) => a - b);
  return sorted.map(([frame, value]) => `${frame}: (${value})`).join(", ");
}

function unknown(name: string, names: readonly string[]): KandinskyError {
  const close = nearest(name, names);
  return new KandinskyError("option_unknown", {
    what: "unknown motion of the camera",
    seen: JSON.stringify(name),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

function notPositive(index: number, name: string, value: number): KandinskyError {
  return new KandinskyError("option_invalid", {
    what: "cannot use this segment",
    where: `segment ${index + 1}, ${name}`,
    seen: String(value),
    wanted: "a number above 0",
  });
}
