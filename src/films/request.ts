import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import {
  EASING_NAMES,
  type Easing,
  motionRequest,
  parsePrompts,
  planAnimation,
  resolveMotion,
} from "../motion/mod.ts";
import { pictureSource, SAMPLING } from "../pipelines/mod.ts";

const whole = z.number().int();

/** What of every film is drawn, and how large. */
const SUBJECT = {
  negative: z.string().optional(),
  seed: whole.min(0).optional(),
  width: whole.positive().optional(),
  height: whole.positive().optional(),
  /** A picture to begin with. */
  image: pictureSource.optional(),
  ...SAMPLING,
};

/** An animation: a picture that is moved and drawn anew, frame after frame. */
export const animateRequest = z.strictObject({
  operation: z.literal("animate"),
  /** One prompt for all frames, or pairs of a frame and the prompt from there on. */
  prompts: z.union([z.string(), z.array(z.tuple([z.string(), z.string()]))]),
  /** `linear` where strengths are those of Kandinsky 2.2, as in its presets. */
  strengthAs: z.enum(["schedule", "linear"]).default("linear"),
  motion: motionRequest.prefault({}),
  /** An ONNX file that tells depth: 3-D motion goes over it instead of a plane. */
  depth: pictureSource.optional(),
  ...SUBJECT,
});

/** A film that flies out of a picture, or into one: each key frame is the one before with more drawn around it. */
export const zoomRequest = z.strictObject({
  operation: z.literal("zoom"),
  /** One prompt for all key frames, or one each; the last goes on. */
  prompts: z.union([z.string(), z.array(z.string()).min(1)]),
  keys: whole.min(2).max(1000).default(4),
  /** Frames from a key frame to the next. */
  tweens: whole.min(1).max(10_000).default(24),
  /** How much more the next key frame shows. */
  ratio: z.number().min(1.05).max(3).default(1.5),
  easing: z.enum(EASING_NAMES as [Easing, ...Easing[]]).default("linear"),
  /** Frames that stand still at both ends, besides those there. */
  hold: whole.min(0).max(10_000).default(0),
  /** Goes back the same way. */
  loop: z.boolean().default(false),
  direction: z.enum(["out", "in"]).default("out"),
  ...SUBJECT,
});

/** As a caller writes it. */
export type ZoomRequest = z.input<typeof zoomRequest>;

/** Every operation that makes a film, by name. */
export const FILM_REQUESTS = { animate: animateRequest, zoom: zoomRequest } as const;

export type FilmOperation = keyof typeof FILM_REQUESTS;

/** As a caller writes it. */
export type AnimateRequest = z.input<typeof animateRequest>;

/** Any request for a film. */
export type FilmRequest = z.input<(typeof FILM_REQUESTS)[FilmOperation]>;

/** A request as its schema reads it: what has a fixed default is filled in. */
export type ParsedFilm<O extends FilmOperation = FilmOperation> = z.output<(typeof FILM_REQUESTS)[O]>;

/** What a request calls a file, and the hash of its bytes where it is known. */
export type Source = z.output<typeof pictureSource>;

/** The depth network of a film that has one. */
export function depthOf(settings: ParsedFilm): Source | undefined {
  return settings.operation === "animate" ? settings.depth : undefined;
}

/** Checks that have better words than the schema's. */
const CHECKS: { readonly [O in FilmOperation]: (request: z.input<(typeof FILM_REQUESTS)[O]>) => void } = {
  animate: ({ motion, prompts, negative, depth }) => {
    const { settings } = planAnimation(resolveMotion(motion ?? {}), parsePrompts(prompts, negative), 0);
    if (depth === undefined || settings.mode === "3D") return;
    throw new KandinskyError("option_invalid", {
      what: "depth is for 3-D motion",
      where: "depth",
      seen: settings.mode,
      wanted: "3D",
      hint: "leave it out, or name the other mode with --mode",
    });
  },
  zoom: () => {},
};

/** Checks a request. Throws `option_invalid` naming the field, and what prompts and motion throw. */
export function parseFilm(request: FilmRequest): ParsedFilm {
  // The table ties each operation to its request; indexing by a union cannot show that to the compiler.
  (CHECKS[request.operation] as (request: FilmRequest) => void)(request);
  const parsed = FILM_REQUESTS[request.operation].safeParse(request);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const value = issue.path.reduce<unknown>((o, name) => (o as Record<PropertyKey, unknown>)?.[name], request);
  throw new KandinskyError("option_invalid", {
    what: "cannot use this value",
    where: issue.path.map(String).join("."),
    seen: JSON.stringify(value) ?? "nothing",
    wanted: issue.code === "invalid_value" ? issue.values.join(", ") : issue.message,
  });
}
