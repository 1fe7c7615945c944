import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import { motionRequest, parsePrompts, planAnimation, resolveMotion } from "../motion/mod.ts";
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
  ...SUBJECT,
});

/** Every operation that makes a film, by name. */
export const FILM_REQUESTS = { animate: animateRequest } as const;

export type FilmOperation = keyof typeof FILM_REQUESTS;

/** As a caller writes it. */
export type AnimateRequest = z.input<typeof animateRequest>;

/** Any request for a film. */
export type FilmRequest = z.input<(typeof FILM_REQUESTS)[FilmOperation]>;

/** A request as its schema reads it: what has a fixed default is filled in. */
export type ParsedFilm<O extends FilmOperation = FilmOperation> = z.output<(typeof FILM_REQUESTS)[O]>;

/** Checks that have better words than the schema's. */
const CHECKS: { readonly [O in FilmOperation]: (request: z.input<(typeof FILM_REQUESTS)[O]>) => void } = {
  animate: ({ motion, prompts, negative }) => {
    planAnimation(resolveMotion(motion ?? {}), parsePrompts(prompts, negative), 0);
  },
};

/** Checks a request. Throws `option_invalid` naming the field, and what prompts and motion throw. */
export function parseFilm(request: FilmRequest): ParsedFilm {
  CHECKS[request.operation](request);
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
