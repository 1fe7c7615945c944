import { KandinskyError } from "../../../src/base/mod.ts";
import {
  configPreset,
  type DeforumSettings,
  MOTION_FIELDS,
  MOTION_NAMES,
  type MotionField,
  type MotionRequest,
  type Segment,
  segmentCamera,
} from "../../../src/motion/mod.ts";

/** Options of `animate` about motion and drawing, as commander returns them. */
export interface MotionOptions extends Readonly<Partial<Record<MotionField, string>>> {
  readonly camera?: readonly string[];
  readonly preset?: string;
  readonly frames?: number;
  readonly mode?: string;
  readonly border?: string;
  readonly strength?: string;
  readonly cadence?: number;
  readonly blend?: string;
  readonly coherence?: string;
  readonly noise?: string;
  readonly contrast?: string;
  readonly sharpen?: string;
  readonly seedBehavior?: string;
  readonly cutPrompts?: boolean;
  readonly fps?: number;
}

/** How the command line calls a field of motion: `--translation-x`. */
export function flagOf(field: MotionField): string {
  return `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A settings file, then a preset, then cameras, then single options: what comes later counts. */
export function motionOf(options: MotionOptions, file: DeforumSettings | undefined): MotionRequest {
  const frameRate = options.fps ?? file?.motion.frameRate ?? 24;
  const preset = options.preset === undefined ? undefined : configPreset(options.preset);
  const segments = (options.camera ?? []).map(segmentOf);
  const camera = segments.length === 0 ? undefined : segmentCamera(segments, frameRate);
  const seconds = segments.reduce((sum, segment) => sum + segment.seconds, 0);
  const mode = options.mode ?? camera?.mode ?? preset?.mode ?? file?.motion.mode ?? impliedMode(options);
  checkMode(options, mode);
  const named = MOTION_NAMES.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]]));
  const { border, strength, cadence, blend, coherence, noise, contrast, sharpen, seedBehavior } = options;
  const request = {
    ...file?.motion,
    ...(preset && { frames: preset.frames, strength: preset.strength }),
    ...(preset?.cadence === undefined ? {} : { cadence: preset.cadence }),
    ...(camera && { frames: Math.floor(seconds * frameRate) }),
    ...given({ frames: options.frames, mode, border, strength, cadence, blend, coherence }),
    ...given({ noise, contrast, amount: sharpen, seedBehavior }),
    ...(options.cutPrompts ? { interpolatePrompts: false } : {}),
    frameRate,
    motion: {
      ...file?.motion.motion,
      ...preset?.schedules,
      ...camera?.schedules,
      ...Object.fromEntries(named),
    },
  };
  // Names that do not exist are the library's to refuse, as it does for every caller.
  return request as MotionRequest;
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** 2D where an option asks for what only that has. */
function impliedMode(options: MotionOptions): string | undefined {
  return MOTION_NAMES.some((name) => options[name] !== undefined && MOTION_FIELDS[name].mode === "2D")
    ? "2D"
    : undefined;
}

/** Throws where an option would do nothing. */
function checkMode(options: MotionOptions, mode: string | undefined): void {
  for (const name of MOTION_NAMES) {
    const { mode: only } = MOTION_FIELDS[name];
    if (options[name] === undefined || only === undefined || only === (mode ?? "3D")) continue;
    throw new KandinskyError("option_invalid", {
      what: "this motion does not go with the mode",
      where: flagOf(name),
      seen: mode ?? "3D",
      wanted: only,
      hint: "name the other mode with --mode, or leave the option out",
    });
  }
}

/** Length of a camera's stretch where none is said. */
const SEGMENT_SECONDS = 4;

/** "zoomin:4:1.5": name, seconds, acceleration. */
function segmentOf(raw: string): Segment {
  const [preset = "", seconds, acceleration, ...rest] = raw.split(":");
  const numbers = [seconds, acceleration].map((text) => (text === undefined ? undefined : Number(text)));
  if (rest.length > 0 || numbers.some((value) => Number.isNaN(value))) {
    throw new KandinskyError("option_invalid", {
      what: "cannot use this value",
      where: "--camera",
      seen: JSON.stringify(raw),
      wanted: "name, seconds and acceleration, such as zoomin:4:1.5",
    });
  }
  const [length = SEGMENT_SECONDS, strength] = numbers;
  return { preset, seconds: length, ...(strength === undefined ? {} : { acceleration: strength }) };
}
