import type { z } from "zod";
import { KandinskyError, nearest } from "../base/mod.ts";
import {
  kandinsky22Schedule,
  PROFILES,
  type ProfileName,
  SAMPLERS,
  type SchedulerConfig,
  samplerNamed,
  scheduleOf,
  strengthFromEqualSnr,
} from "../diffusion/mod.ts";
import type { BaseJob, Job, JobOf, KnownFile, PictureJob } from "./job.ts";
import { type Operation, type ParsedRequest, type PictureRequest, REQUESTS } from "./request.ts";

/** What a model says about defaults. */
export interface ModelDefaults {
  /** Pixels that both sides must be multiples of. */
  readonly unit: number;
  /** Side of a square picture where no size is given. */
  readonly side: number;
  readonly profile: ProfileName;
  readonly scheduler: SchedulerConfig;
}

/** A picture that a request works on, as far as it decides what is drawn. */
export interface KnownPicture extends KnownFile {
  readonly width: number;
  readonly height: number;
}

/** The pictures of a request, by its fields. */
export type KnownPictures = Readonly<Partial<Record<"image", KnownPicture>>>;

/**
 * Checks a request against the schema of its operation.
 * Throws `option_invalid` naming the option, `option_unknown` for an operation, a sampler and other names.
 */
export function parseRequest(request: PictureRequest): ParsedRequest {
  const { operation = "generate", sampler } = request;
  if (typeof sampler === "string") samplerNamed(sampler);
  if (!Object.hasOwn(REQUESTS, operation)) throw unknownOperation(operation);
  const parsed = REQUESTS[operation].safeParse(request);
  if (!parsed.success) throw invalid(parsed.error, request);
  return parsed.data;
}

/**
 * Fills in the defaults and checks sizes and counts. `pictures` are those that the request names.
 * Throws as `parseRequest` does, `size_unit` with the two nearest sizes, and `picture_unfit` for pictures that are
 * too small.
 */
export function resolveRequest(
  request: PictureRequest,
  model: ModelDefaults,
  randomSeed: () => number,
  pictures: KnownPictures = {},
): Job {
  const parsed = parseRequest(request);
  // The table ties each operation to its request; indexing by a union cannot show that to the compiler.
  const resolver = RESOLVERS[parsed.operation] as (request: ParsedRequest, given: Given) => Job;
  return resolver(parsed, { model, randomSeed, pictures });
}

interface Given {
  readonly model: ModelDefaults;
  readonly randomSeed: () => number;
  readonly pictures: KnownPictures;
}

const RESOLVERS: { readonly [O in Operation]: (request: ParsedRequest<O>, given: Given) => JobOf<O> } = {
  generate: (r, given) => {
    const { side, unit } = given.model;
    const width = checkSide("width", r.width ?? side, unit);
    const height = checkSide("height", r.height ?? side, unit);
    return { operation: "generate", ...baseOf(r, given, { width, height }, { width, height }) };
  },
  edit: (r, given) => {
    const { unit, scheduler } = given.model;
    const { file, sha256, ...picture } = given.pictures.image!;
    const size = resultSize(r, picture, given.model, file);
    return {
      operation: "edit",
      ...baseOf(r, given, size, inUnits(size, unit)),
      image: { file, sha256 },
      strength: r.strengthAs === "linear" ? strengthOn(scheduler, r.strength) : r.strength,
    };
  },
};

/** A strength of Kandinsky 2.2 as the one that leaves the same ratio of signal to noise on the model's schedule. */
function strengthOn(scheduler: SchedulerConfig, strength: number): number {
  return strengthFromEqualSnr(strength, kandinsky22Schedule(), scheduleOf(scheduler));
}

type Size = Readonly<Record<"width" | "height", number>>;

/** Both sides of the canvas that is nearest to a size, in whole units. */
function inUnits({ width, height }: Size, unit: number): Size {
  const side = (pixels: number) => Math.max(1, Math.round(pixels / unit)) * unit;
  return { width: side(width), height: side(height) };
}

/**
 * The size asked for, or one side of it and the picture's shape, or the picture's own size, made smaller where its
 * area is larger than the model's. A picture is not made larger unasked.
 */
function resultSize(
  asked: { readonly width?: number | undefined; readonly height?: number | undefined },
  picture: Size,
  { side, unit }: ModelDefaults,
  where: string,
): Size {
  const { width, height } = asked;
  if (width !== undefined && height !== undefined) return { width, height };
  const factor =
    width !== undefined
      ? width / picture.width
      : height !== undefined
        ? height / picture.height
        : Math.min(1, side / Math.sqrt(picture.width * picture.height));
  if (factor === 1) checkLarge(picture, unit, where);
  const scaled = (pixels: number) => Math.max(1, Math.round(pixels * factor));
  return { width: width ?? scaled(picture.width), height: height ?? scaled(picture.height) };
}

/** A picture of less than half a unit would be drawn more than twice as large as it is. */
function checkLarge({ width, height }: Size, unit: number, where: string): void {
  if (2 * Math.min(width, height) >= unit) return;
  throw new KandinskyError("picture_unfit", {
    what: "the picture is too small for this model",
    where,
    seen: `${width}x${height}`,
    wanted: `at least ${unit / 2} pixels a side`,
    hint: "name the size of the result with --size",
  });
}

type Settings = Omit<ParsedRequest<"generate">, "operation">;

function baseOf(r: Settings, { model, randomSeed }: Given, size: Size, canvas: Size): BaseJob {
  const profile = r.profile ?? (r.sampler === "native" || r.sampler === "flash" ? "native" : model.profile);
  const sampler = r.sampler ?? PROFILES[profile].sampler;
  const fixedSteps = (SAMPLERS[sampler] as { readonly fixedSteps?: number }).fixedSteps;
  return {
    pictures: picturesOf(r, randomSeed),
    ...size,
    canvas,
    steps: fixedSteps ?? r.steps ?? PROFILES[profile].steps,
    // Flash was distilled to need no guidance.
    guidance: sampler === "flash" ? 0 : (r.guidance ?? PROFILES[profile].guidance),
    guidanceRescale: r.guidanceRescale,
    guidanceInterval: r.guidanceInterval,
    sampler,
    spacing: r.spacing,
    profile,
    threshold: r.threshold,
    clip: r.clip,
    rng: r.rng,
    batchText: r.batchText,
    ...(r.mix === undefined ? {} : { mix: r.mix }),
  };
}

function picturesOf(r: Settings, randomSeed: () => number): PictureJob[] {
  const prompts = typeof r.prompt === "string" ? [r.prompt] : r.prompt;
  const negatives = r.negative === undefined || typeof r.negative === "string" ? undefined : r.negative;
  if (negatives !== undefined && negatives.length !== prompts.length) {
    throw new KandinskyError("option_invalid", {
      what: "cannot match negative prompts to prompts",
      where: "negative",
      seen: `${negatives.length}`,
      wanted: `1 or ${prompts.length}`,
    });
  }
  const total = prompts.length * r.count;
  const seeds = Array.isArray(r.seed) ? r.seed : undefined;
  if (seeds !== undefined && seeds.length !== total) {
    throw new KandinskyError("option_invalid", {
      what: "cannot match seeds to pictures",
      where: "seed",
      seen: `${seeds.length}`,
      wanted: `1 or ${total}`,
    });
  }
  const first = typeof r.seed === "number" ? r.seed : randomSeed();
  return Array.from({ length: total }, (_, index) => {
    const which = Math.floor(index / r.count);
    return {
      index,
      prompt: prompts[which]!,
      negative: negatives?.[which] ?? (typeof r.negative === "string" ? r.negative : undefined),
      seed: seeds?.[index] ?? first + index,
    };
  });
}

/** A side in pixels that the model can draw; throws `size_unit` with the nearest two. */
export function checkSide(where: string, side: number, unit: number): number {
  if (side > 0 && side % unit === 0) return side;
  const below = Math.floor(side / unit) * unit;
  const above = below + unit;
  throw new KandinskyError("size_unit", {
    what: "cannot draw this size",
    where,
    seen: `${side}`,
    wanted: `a multiple of ${unit}`,
    hint: below > 0 ? `the nearest are ${below} and ${above}` : `the smallest is ${above}`,
  });
}

function unknownOperation(seen: unknown): KandinskyError {
  const names = Object.keys(REQUESTS);
  const close = typeof seen === "string" ? nearest(seen, names) : undefined;
  return new KandinskyError("option_unknown", {
    what: "unknown operation",
    where: "operation",
    seen: JSON.stringify(seen),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

function invalid(error: z.ZodError, request: PictureRequest): KandinskyError {
  const issue = error.issues[0]!;
  const field = String(issue.path[0] ?? "");
  const value = (request as Readonly<Record<string, unknown>>)[field];
  const close =
    issue.code === "invalid_value" && typeof value === "string"
      ? nearest(value, issue.values.map(String))
      : undefined;
  return new KandinskyError(issue.code === "invalid_value" ? "option_unknown" : "option_invalid", {
    what: "cannot use this value",
    ...(field === "" ? {} : { where: field, seen: JSON.stringify(value) }),
    wanted: wordIssue(issue),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

/** What a field should have been, in words. */
function wordIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === "too_small") return `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
  if (issue.code === "too_big") return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
  if (issue.code === "invalid_value") return issue.values.join(", ");
  if (issue.code === "invalid_type") {
    return issue.expected === "int" ? "a whole number" : `a ${issue.expected}`;
  }
  const alternative = issue.code === "invalid_union" ? issue.errors[0]?.[0] : undefined;
  return alternative === undefined ? issue.message : wordIssue(alternative);
}
